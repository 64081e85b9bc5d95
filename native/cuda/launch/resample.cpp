#include <cmath>

#include "cuda/kernels.h"
#include "cuda/launch/mixture.h"

namespace tr0n::cuda {

namespace {

class CudaResampleKernels final : public ResampleKernels {
 public:
  explicit CudaResampleKernels(const Queue& queue) : queue_(queue) {}

  void candidates(const DrawCandidates& a) const override {
    queue_.launch(rows_launch(queue_, "draw_candidates", a.n, a.q.latent), a.q, a.prior, a.alpha, a.rows,
                  a.chains, a.steps, a.n, a.rng.key(), a.z);
  }

  void weights(const ImportanceWeights& a) const override {
    const Shared shared = shared_of(queue_, a.q);
    const double peak = a.prior.log_peak(), log_alpha = std::log(a.alpha), log_rest = std::log1p(-a.alpha);
    if (a.q.component_stds)
      queue_.launch(density_launch(queue_, "importance_weights_by_component", shared.bytes, a.n), a.q,
                    shared.keep, a.prior, peak, a.alpha, log_alpha, log_rest, a.fidelity, a.prior_weight,
                    a.rows, a.n, a.z, a.energies, a.log_weights);
    else
      queue_.launch(density_launch(queue_, "importance_weights", shared.bytes, a.n), a.q, a.prior, peak,
                    a.alpha, log_alpha, log_rest, a.fidelity, a.prior_weight, a.rows, a.n, a.z, a.energies,
                    a.log_weights);
  }

  void choose(const Resample& a) const override {
    queue_.launch(warps_launch(queue_, "resample", a.n), a.n, a.count, a.d, a.members, a.chains, a.first_step,
                  a.rng.key(), a.z, a.energies, a.log_weights, a.states, a.best);
  }

 private:
  const Queue& queue_;
};

}  // namespace

std::unique_ptr<const ResampleKernels> make_resample_kernels(const Queue& queue) {
  return std::make_unique<CudaResampleKernels>(queue);
}

}  // namespace tr0n::cuda
