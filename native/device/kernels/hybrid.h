#pragma once
#include <cstddef>
#include <cstdint>

namespace tr0n {

/// The hybrid sampler's latent: z [n, d] = Σ_k π_k ⊙ μ_k, π = softmax over k of weights [n, K, d], means [n,
/// K, d]. Moves 2·n·K·d + n·d.
struct HybridCombine {
  size_t n = 0, components = 0, d = 0;
  const float *means = nullptr, *weights = nullptr;
  float* z = nullptr;
};

/// Through hybrid_combine: d_means = π_k ⊙ g, d_weights = π_k ⊙ (μ_k − z) ⊙ g, both [n, K, d], overwritten.
/// z and gradients g [n, d]. Moves 4·n·K·d + 2·n·d.
struct HybridGradients {
  size_t n = 0, components = 0, d = 0;
  const float *means = nullptr, *weights = nullptr, *z = nullptr, *gradients = nullptr;
  float *d_means = nullptr, *d_weights = nullptr;
};

/// The hybrid sampler's latent out of soft mixture weights.
class HybridKernels {
 public:
  virtual ~HybridKernels() = default;
  virtual void combine(const HybridCombine& a) const = 0;
  virtual void gradients(const HybridGradients& a) const = 0;
};

}  // namespace tr0n
