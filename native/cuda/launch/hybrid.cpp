#include "cuda/kernels.h"
#include "cuda/launch/rows.h"

namespace tr0n::cuda {
namespace {

constexpr unsigned kThreads = 128;

class CudaHybridKernels final : public HybridKernels {
 public:
  explicit CudaHybridKernels(const Queue& queue) : queue_(queue) {}

  void combine(const HybridCombine& a) const override {
    queue_.launch({"hybrid_combine", {block_count(a.n * a.d, kThreads)}, {kThreads}}, a.n,
                  static_cast<unsigned>(a.components), a.d, a.means, a.weights, a.z);
  }

  void gradients(const HybridGradients& a) const override {
    queue_.launch({"hybrid_gradients", {block_count(a.n * a.d, kThreads)}, {kThreads}}, a.n,
                  static_cast<unsigned>(a.components), a.d, a.means, a.weights, a.z, a.gradients, a.d_means,
                  a.d_weights);
  }

 private:
  const Queue& queue_;
};

}  // namespace

std::unique_ptr<const HybridKernels> make_hybrid_kernels(const Queue& queue) {
  return std::make_unique<CudaHybridKernels>(queue);
}

}  // namespace tr0n::cuda
