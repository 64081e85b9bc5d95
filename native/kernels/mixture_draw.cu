// z_i ~ q_row(i), i < n: the component by inverse CDF of one uniform (purpose `choice`), then μ_k + σ ⊙ ε
// (purpose `normal`); logits [·, K], means [·, K, d], log_stds [d] or [K, d], z [n, d]. rows [n] may be null:
// row i. Moves n·(K + 2d) floats and the log-stds.
#include "kernels/draws.cuh"

namespace tr0n::cuda {

extern "C" __global__ void __launch_bounds__(512)
    mixture_draw(MixtureView q, const uint32_t* __restrict__ rows, const Chain* __restrict__ chains, size_t n,
                 uint32_t step, uint32_t choice, uint32_t normal, uint2 key, float* __restrict__ z) {
  const size_t i = row_of_block();
  if (i >= n) return;
  const size_t row = rows == nullptr ? i : rows[i];
  const Chain chain = chains[i];
  const double u = uniform(Draw(key, chain, step, static_cast<Purpose>(choice)));
  const unsigned component =
      choose_component(q.logits + row * q.components, static_cast<unsigned>(q.components), u);
  draw_component(q, row, component, Draw(key, chain, step, static_cast<Purpose>(normal)),
                 vectors_fit(q.latent, q.means, q.log_stds, z), z + i * q.latent);
}

}  // namespace tr0n::cuda
