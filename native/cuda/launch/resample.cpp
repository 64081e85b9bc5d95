#include "cuda/kernels.h"
#include "cuda/launch/rows.h"

namespace tr0n::cuda {

void CudaKernels::draw_candidates(const MixtureView& q, const Prior& prior, double alpha,
                                  const uint32_t* rows, const Chain* chains, const uint32_t* steps, size_t n,
                                  const Philox& rng, float* z) const {
  queue_.launch(rows_launch(queue_, "draw_candidates", n, q.latent), q, prior, alpha, rows, chains, steps, n,
                rng.key(), z);
}

void CudaKernels::resample(size_t n, size_t count, size_t d, const Chain* chains, uint32_t first_step,
                           const Philox& rng, const float* z, const float* energies,
                           const double* log_weights, ResampleState* states, float* best) const {
  queue_.launch(warps_launch(queue_, "resample", n), n, count, d, chains, first_step, rng.key(), z, energies,
                log_weights, states, best);
}

}  // namespace tr0n::cuda
