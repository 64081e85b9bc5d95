// The hybrid sampler's latent and its adjoint; means, weights [n, K, d], z, gradients [n, d], π = softmax
// over k.
//   hybrid_combine:   z = Σ_k π_k ⊙ μ_k                                  moves 2·n·K·d + n·d floats
//   hybrid_gradients: d_means = π_k ⊙ g, d_weights = π_k ⊙ (μ_k − z) ⊙ g  moves 4·n·K·d + 2·n·d floats
// A thread has one element of z: it goes through the K components, which stand d apart, so that a warp reads
// neighbours. Up to kRegisters weights stay in registers, so that each is read once; more are read three
// times.
#include <cstddef>

namespace tr0n::cuda {
namespace {

constexpr unsigned kRegisters = 16;

/// The weights of one element, in registers or not.
template <bool Kept>
class Weights {
 public:
  __device__ Weights(const float* weights, unsigned components, size_t stride)
      : weights_(weights), components_(components), stride_(stride) {
    if (Kept) {
#pragma unroll
      for (unsigned k = 0; k < kRegisters; ++k) kept_[k] = k < components ? weights[k * stride] : 0;
    }
  }
  /// visit(k, w_k) in the order of the components.
  template <class Visit>
  __device__ void each(Visit visit) const {
    if (Kept) {
#pragma unroll
      for (unsigned k = 0; k < kRegisters; ++k)
        if (k < components_) visit(k, kept_[k]);
    } else {
      for (unsigned k = 0; k < components_; ++k) visit(k, weights_[k * stride_]);
    }
  }
  /// visit(k, π_k).
  template <class Visit>
  __device__ void each_share(Visit visit) const {
    float largest = Kept ? kept_[0] : weights_[0], sum = 0;
    each([&](unsigned, float w) { largest = largest < w ? w : largest; });
    each([&](unsigned, float w) { sum += expf(w - largest); });
    each([&](unsigned k, float w) { visit(k, expf(w - largest) / sum); });
  }

 private:
  const float* weights_;
  unsigned components_;
  size_t stride_;
  float kept_[Kept ? kRegisters : 1];
};

template <bool Kept>
__device__ float combine(const float* means, const float* weights, unsigned components, size_t d) {
  float value = 0;
  Weights<Kept>(weights, components, d).each_share([&](unsigned k, float share) {
    value += share * means[k * d];
  });
  return value;
}

template <bool Kept>
__device__ void differentiate(const float* means, const float* weights, unsigned components, size_t d,
                              float z, float gradient, float* d_means, float* d_weights) {
  Weights<Kept>(weights, components, d).each_share([&](unsigned k, float share) {
    d_means[k * d] = share * gradient;
    d_weights[k * d] = share * (means[k * d] - z) * gradient;
  });
}

}  // namespace

/// A grid of n·d threads.
extern "C" __global__ void __launch_bounds__(128)
    hybrid_combine(size_t n, unsigned components, size_t d, const float* __restrict__ means,
                   const float* __restrict__ weights, float* __restrict__ z) {
  const size_t at = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= n * d) return;
  const size_t base = at / d * components * d + at % d;
  z[at] = components <= kRegisters ? combine<true>(means + base, weights + base, components, d)
                                   : combine<false>(means + base, weights + base, components, d);
}

extern "C" __global__ void __launch_bounds__(128)
    hybrid_gradients(size_t n, unsigned components, size_t d, const float* __restrict__ means,
                     const float* __restrict__ weights, const float* __restrict__ z,
                     const float* __restrict__ gradients, float* __restrict__ d_means,
                     float* __restrict__ d_weights) {
  const size_t at = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= n * d) return;
  const size_t base = at / d * components * d + at % d;
  const float value = z[at], gradient = gradients[at];
  if (components <= kRegisters)
    differentiate<true>(means + base, weights + base, components, d, value, gradient, d_means + base,
                        d_weights + base);
  else
    differentiate<false>(means + base, weights + base, components, d, value, gradient, d_means + base,
                         d_weights + base);
}

}  // namespace tr0n::cuda
