#include "cuda/kernels.h"
#include "cuda/launch/rows.h"

namespace tr0n::cuda {

void CudaKernels::condition_noise(ConditionNoise kind, float scale, const float* factor, size_t n, size_t m,
                                  const Chain* chains, uint32_t step, const Philox& rng, const float* c,
                                  float* /*workspace*/, float* out) const {
  if (kind == ConditionNoise::none && out == c) return;
  if (kind == ConditionNoise::covariance) {
    queue_.launch({"condition_noise_covariance", {block_count(m, 32), block_count(n, 16), 1}, {128, 1, 1}},
                  factor, n, m, chains, step, rng.key(), c, out);
    return;
  }
  // No noise is noise of scale 0: a copy.
  queue_.launch(rows_launch(queue_, "condition_noise", n, m), kind == ConditionNoise::adaptive ? 1 : 0,
                kind == ConditionNoise::none ? 0.0f : scale, n, m, chains, step, rng.key(), c, out);
}

void CudaKernels::sample_labels(size_t n, size_t m, const Chain* chains, uint32_t step, const Philox& rng,
                                const float* c, float* out) const {
  queue_.launch(warps_launch(queue_, "sample_labels", n), n, m, chains, step, rng.key(), c, out);
}

}  // namespace tr0n::cuda
