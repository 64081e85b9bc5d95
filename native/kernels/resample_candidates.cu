// Candidates of q' = (1−α)·q + α·p: z_i [n, d] is candidate steps[i] of chain chains[i] under mixture
// rows[i]. From the prior where the uniform of Purpose::candidate_choice is below α (drawn by
// candidate_prior), else from q (candidate_component, candidate_normal). Choices in double, as on the CPU.
// Moves n·(K + 2d) floats.
#include "kernels/draws.cuh"
#include "kernels/prior.cuh"

namespace tr0n::cuda {

extern "C" __global__ void __launch_bounds__(512)
    draw_candidates(MixtureView q, Prior prior, double alpha, const uint32_t* __restrict__ rows,
                    const Chain* __restrict__ chains, const uint32_t* __restrict__ steps, size_t n, uint2 key,
                    float* __restrict__ z) {
  const size_t i = row_of_block(), d = q.latent;
  if (i >= n) return;
  const Chain chain = chains[i];
  const uint32_t step = steps[i];
  const bool vector = vectors_fit(d, q.means, q.log_stds, z);
  float* out = z + i * d;
  if (uniform(Draw(key, chain, step, Purpose::candidate_choice)) < alpha) {
    const Draw draw(key, chain, step, Purpose::candidate_prior);
    for (size_t at = 4 * threadIdx.x; at < d; at += 4 * blockDim.x)
      store4(out, at, d, vector, draw_prior(prior, draw, at));
    return;
  }
  const size_t row = rows[i];
  const double u = uniform(Draw(key, chain, step, Purpose::candidate_component));
  const unsigned component =
      choose_component(q.logits + row * q.components, static_cast<unsigned>(q.components), u);
  draw_component(q, row, component, Draw(key, chain, step, Purpose::candidate_normal), vector, out);
}

}  // namespace tr0n::cuda
