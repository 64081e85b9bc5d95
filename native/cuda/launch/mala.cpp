#include "cuda/kernels.h"
#include "cuda/launch/rows.h"

namespace tr0n::cuda {

namespace {

class CudaMalaKernels final : public MalaKernels {
 public:
  explicit CudaMalaKernels(const Queue& queue) : queue_(queue) {}

  void propose(const MalaPropose& a) const override {
    queue_.launch(rows_launch(queue_, "mala_propose", a.n, a.d), a.n, a.d, a.states, a.chains, a.step,
                  a.rng.key(), a.z, a.drift, a.proposal);
  }

  void accept(const MalaAccept& a) const override {
    queue_.launch(rows_launch(queue_, "mala_accept", a.n, a.d), a.n, a.d, a.chains, a.step, a.rng.key(),
                  a.adapt, a.target_accept, a.proposal, a.proposal_drift, a.proposal_energies,
                  a.proposal_targets, a.states, a.z, a.drift, a.energies);
  }

 private:
  const Queue& queue_;
};

}  // namespace

std::unique_ptr<const MalaKernels> make_mala_kernels(const Queue& queue) {
  return std::make_unique<CudaMalaKernels>(queue);
}

}  // namespace tr0n::cuda
