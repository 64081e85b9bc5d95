#include "cuda/kernels.h"
#include "cuda/launch/rows.h"

namespace tr0n::cuda {

namespace {

class CudaTargetKernels final : public TargetKernels {
 public:
  explicit CudaTargetKernels(const Queue& queue) : queue_(queue) {}

  void gradient(const TargetGradient& a) const override {
    const bool pulled = a.prior_weight != 0 && a.prior.kind != Prior::Kind::uniform;
    const float variance = a.prior.kind == Prior::Kind::elements ? 1 : a.prior.std * a.prior.std;
    const float prior_scale = pulled ? static_cast<float>(a.prior_weight) / variance : 0.0f;
    queue_.launch(rows_launch(queue_, "target_gradient", a.n, a.prior.dim), a.prior, a.fidelity,
                  a.prior_weight, prior_scale, pulled ? 1 : 0, a.n, a.z, a.energies, a.targets, a.gradients);
  }

 private:
  const Queue& queue_;
};

}  // namespace

std::unique_ptr<const TargetKernels> make_target_kernels(const Queue& queue) {
  return std::make_unique<CudaTargetKernels>(queue);
}

}  // namespace tr0n::cuda
