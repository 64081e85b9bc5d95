#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "cpu/kernels.h"

namespace tr0n {
namespace {

/// Calls visit(k, π_k) for the components of one dimension, whose weights stand `stride` apart.
template <class Visit>
void for_softmax(const float* weights, size_t components, size_t stride, const Visit& visit) {
  float largest = weights[0];
  for (size_t k = 1; k < components; ++k) largest = std::max(largest, weights[k * stride]);
  float sum = 0;
  for (size_t k = 0; k < components; ++k) sum += std::exp(weights[k * stride] - largest);
  for (size_t k = 0; k < components; ++k) visit(k, std::exp(weights[k * stride] - largest) / sum);
}

}  // namespace

void CpuKernels::hybrid_combine(size_t n, size_t components, size_t d, const float* means,
                                const float* weights, float* z) const {
  for_ranges(n, 20 * components * d, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i)
      for (size_t j = 0; j < d; ++j) {
        const size_t base = i * components * d + j;
        float value = 0;
        for_softmax(weights + base, components, d,
                    [&](size_t k, float share) { value += share * means[base + k * d]; });
        z[i * d + j] = value;
      }
  });
}

void CpuKernels::hybrid_gradients(size_t n, size_t components, size_t d, const float* means,
                                  const float* weights, const float* z, const float* gradients,
                                  float* d_means, float* d_weights) const {
  for_ranges(n, 20 * components * d, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i)
      for (size_t j = 0; j < d; ++j) {
        const size_t base = i * components * d + j;
        const float gradient = gradients[i * d + j], value = z[i * d + j];
        for_softmax(weights + base, components, d, [&](size_t k, float share) {
          const size_t at = base + k * d;
          d_means[at] = share * gradient;
          d_weights[at] = share * (means[at] - value) * gradient;
        });
      }
  });
}

}  // namespace tr0n
