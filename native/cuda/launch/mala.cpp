#include "cuda/kernels.h"
#include "cuda/launch/rows.h"

namespace tr0n::cuda {

void CudaKernels::target_gradient(const Prior& prior, double fidelity, double prior_weight, size_t n,
                                  const float* z, const float* energies, double* targets,
                                  float* gradients) const {
  const bool pulled = prior_weight != 0 && prior.kind != Prior::Kind::uniform;
  const float variance = prior.kind == Prior::Kind::elements ? 1 : prior.std * prior.std;
  const float prior_scale = pulled ? static_cast<float>(prior_weight) / variance : 0.0f;
  queue_.launch(rows_launch(queue_, "target_gradient", n, prior.dim), prior, fidelity, prior_weight,
                prior_scale, pulled ? 1 : 0, n, z, energies, targets, gradients);
}

void CudaKernels::mala_propose(size_t n, size_t d, const MalaState* states, const Chain* chains,
                               uint32_t step, const Philox& rng, const float* z, const float* drift,
                               float* proposal) const {
  queue_.launch(rows_launch(queue_, "mala_propose", n, d), n, d, states, chains, step, rng.key(), z, drift,
                proposal);
}

void CudaKernels::mala_accept(size_t n, size_t d, const Chain* chains, uint32_t step, const Philox& rng,
                              double adapt, double target_accept, const float* proposal,
                              const float* proposal_drift, const float* proposal_energies,
                              const double* proposal_targets, MalaState* states, float* z, float* drift,
                              float* energies) const {
  queue_.launch(rows_launch(queue_, "mala_accept", n, d), n, d, chains, step, rng.key(), adapt, target_accept,
                proposal, proposal_drift, proposal_energies, proposal_targets, states, z, drift, energies);
}

void CudaKernels::langevin_update(size_t n, size_t d, const Chain* chains, uint32_t step,
                                  uint32_t first_block, const Philox& rng, bool first, float learning_rate,
                                  float momentum, float noise, double clip, float bound,
                                  const float* gradients, float* momenta, float* z) const {
  queue_.launch(rows_launch(queue_, "langevin_update", n, d), n, d, chains, step, first_block, rng.key(),
                first ? 1 : 0, learning_rate, momentum, noise, clip, bound, gradients, momenta, z);
}

}  // namespace tr0n::cuda
