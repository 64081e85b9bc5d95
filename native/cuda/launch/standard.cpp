#include "cuda/kernels.h"
#include "cuda/launch/rows.h"

namespace tr0n::cuda {

namespace {

class CudaStandardKernels final : public StandardKernels {
 public:
  explicit CudaStandardKernels(const Queue& queue) : queue_(queue) {}

  void from_standard(const FromStandard& a) const override {
    queue_.launch(rows_launch(queue_, "from_standard", a.n, a.standard.d), a.standard, a.n, a.u, a.z);
  }

  void to_standard(const ToStandard& a) const override {
    queue_.launch(rows_launch(queue_, "to_standard", a.n, a.standard.d), a.standard, a.n, a.z, a.u);
  }

  void pull_back(const PullBack& a) const override {
    queue_.launch(rows_launch(queue_, "pull_back", a.n, a.standard.d), a.standard, a.fidelity, a.prior_weight,
                  a.max_drift, a.n, a.u, a.z, a.energies, a.target_energies, a.gradients);
  }

 private:
  const Queue& queue_;
};

}  // namespace

std::unique_ptr<const StandardKernels> make_standard_kernels(const Queue& queue) {
  return std::make_unique<CudaStandardKernels>(queue);
}

}  // namespace tr0n::cuda
