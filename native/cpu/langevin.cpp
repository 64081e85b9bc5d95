#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "cpu/kernels.h"
#include "cpu/scratch.h"

namespace tr0n {

void CpuKernels::langevin_update(size_t n, size_t d, const Chain* chains, uint32_t step, uint32_t first_block,
                                 const Philox& rng, bool first, float learning_rate, float momentum,
                                 float noise, double clip, float bound, const float* gradients,
                                 float* momenta, float* z) const {
  for_ranges(n, (noise > 0 ? 25 : 5) * d, [&](size_t begin, size_t end) {
    thread_local Scratch scratch;
    float* normals = scratch.get<float>(d);
    for (size_t i = begin; i < end; ++i) {
      const float* gradient = gradients + i * d;
      float* b = momenta + i * d;
      float* x = z + i * d;
      float scale = 1;
      if (clip > 0) {
        double square = 0;
        for (size_t j = 0; j < d; ++j)
          square += static_cast<double>(gradient[j]) * static_cast<double>(gradient[j]);
        scale = static_cast<float>(clip_coefficient(std::sqrt(square), clip));
      }
      for (size_t j = 0; j < d; ++j) b[j] = (first ? 0.0f : momentum * b[j]) + scale * gradient[j];
      for (size_t j = 0; j < d; ++j) x[j] -= learning_rate * b[j];
      if (noise > 0) {
        rng.normal(chains[i], step, Purpose::langevin_noise, normals, d, first_block);
        for (size_t j = 0; j < d; ++j) x[j] += noise * normals[j];
      }
      if (bound > 0)
        for (size_t j = 0; j < d; ++j)
          x[j] = x[j] > bound ? bound : x[j] < -bound ? -bound : x[j];  // NaN stays
    }
  });
}

}  // namespace tr0n
