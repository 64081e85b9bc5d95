#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "cpu/kernels.h"
#include "cpu/scratch.h"

namespace tr0n {

namespace {

class CpuLangevinKernels final : public LangevinKernels {
 public:
  void update(const LangevinUpdate& a) const override {
    for_ranges(a.n, (a.noise > 0 ? 25 : 5) * a.d, [&](size_t begin, size_t end) {
      thread_local Scratch scratch;
      const size_t d = a.d;
      const float learning_rate = a.learning_rate, momentum = a.momentum, noise = a.noise, bound = a.bound;
      float* normals = scratch.get<float>(d);
      for (size_t i = begin; i < end; ++i) {
        const float* gradient = a.gradients + i * d;
        float* b = a.momenta + i * d;
        float* x = a.z + i * d;
        float scale = 1;
        if (a.clip > 0) {
          double square = 0;
          for (size_t j = 0; j < d; ++j)
            square += static_cast<double>(gradient[j]) * static_cast<double>(gradient[j]);
          scale = static_cast<float>(clip_coefficient(std::sqrt(square), a.clip));
        }
        for (size_t j = 0; j < d; ++j) b[j] = (a.first ? 0.0f : momentum * b[j]) + scale * gradient[j];
        for (size_t j = 0; j < d; ++j) x[j] -= learning_rate * b[j];
        if (noise > 0) {
          a.rng.normal(a.chains[i], a.step, Purpose::langevin_noise, normals, d, a.first_block);
          for (size_t j = 0; j < d; ++j) x[j] += noise * normals[j];
        }
        if (bound > 0)
          for (size_t j = 0; j < d; ++j)
            x[j] = x[j] > bound ? bound : x[j] < -bound ? -bound : x[j];  // NaN stays
      }
    });
  }
};

}  // namespace

std::unique_ptr<const LangevinKernels> make_langevin_kernels() {
  return std::make_unique<CpuLangevinKernels>();
}

}  // namespace tr0n
