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

class CpuHybridKernels final : public HybridKernels {
 public:
  void combine(const HybridCombine& a) const override {
    for_ranges(a.n, 20 * a.components * a.d, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i)
        for (size_t j = 0; j < a.d; ++j) {
          const size_t base = i * a.components * a.d + j;
          float value = 0;
          for_softmax(a.weights + base, a.components, a.d,
                      [&](size_t k, float share) { value += share * a.means[base + k * a.d]; });
          a.z[i * a.d + j] = value;
        }
    });
  }

  void gradients(const HybridGradients& a) const override {
    for_ranges(a.n, 20 * a.components * a.d, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i)
        for (size_t j = 0; j < a.d; ++j) {
          const size_t base = i * a.components * a.d + j;
          const float gradient = a.gradients[i * a.d + j], value = a.z[i * a.d + j];
          for_softmax(a.weights + base, a.components, a.d, [&](size_t k, float share) {
            const size_t at = base + k * a.d;
            a.d_means[at] = share * gradient;
            a.d_weights[at] = share * (a.means[at] - value) * gradient;
          });
        }
    });
  }
};

}  // namespace

std::unique_ptr<const HybridKernels> make_hybrid_kernels() { return std::make_unique<CpuHybridKernels>(); }

}  // namespace tr0n
