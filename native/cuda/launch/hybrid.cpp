#include "cuda/kernels.h"
#include "cuda/launch/rows.h"

namespace tr0n::cuda {
namespace {

constexpr unsigned kThreads = 128;

}  // namespace

void CudaKernels::hybrid_combine(size_t n, size_t components, size_t d, const float* means,
                                 const float* weights, float* z) const {
  queue_.launch({"hybrid_combine", {block_count(n * d, kThreads)}, {kThreads}}, n,
                static_cast<unsigned>(components), d, means, weights, z);
}

void CudaKernels::hybrid_gradients(size_t n, size_t components, size_t d, const float* means,
                                   const float* weights, const float* z, const float* gradients,
                                   float* d_means, float* d_weights) const {
  queue_.launch({"hybrid_gradients", {block_count(n * d, kThreads)}, {kThreads}}, n,
                static_cast<unsigned>(components), d, means, weights, z, gradients, d_means, d_weights);
}

}  // namespace tr0n::cuda
