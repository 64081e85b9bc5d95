// The mixture's negative log-likelihood and its gradients in one pass and one launch. Row i of n: logits [K],
// means [K, d], z [d]; σ = e^s + 1e-6, s = log_stds [d] shared by the components. γ = softmax_k(log π_k + log
// N_k), u = (z − μ)/σ:
//   nll_i = −log Σ_k π_k N(z; μ_k, diag σ²)          d_logits = scale·(π − γ)
//   d_means = −scale·γ_k·u/σ (times bound − μ²/bound where bound > 0)
//   d_log_stds = scale·Σ_i (1 − Σ_k γ_k u²)·dlogσ/ds
// A block has n/1024 neighbouring rows, at least one: distances by warps, log-sum-exps, then a thread for
// each dimension. What its rows give to d_log_stds it leaves in its row of `rows` [n, d]; the last block of a
// group of 32 to get there adds up its group's, and the last group adds up the groups', in the order of the
// blocks. Log-densities in double (mixture.cuh), and gradients with them: u reaches 10^44 at the floor of σ.
// Moves 2·n·K·d + 2·n·K + 3·n·d floats; the means are read once where K·d of them fit into shared memory.
#include "kernels/mixture_nll.cuh"

namespace tr0n::cuda {
namespace {

/// Of one row, after log_density(): d_logits and d_means, and the row's share of d_log_stds added to `slopes`
/// [d], or written there if it is the block's first. Leaves the responsibilities in `weights`.
__device__ void backward(MixtureBlock<SharedStds>& block, SharedStds& stds, const MixtureView& q, size_t row,
                         const float* z, double scale, double bound, const Gradients& gradients,
                         double* weights, const float* staged, float* slopes, bool first_row) {
  const unsigned components = static_cast<unsigned>(q.components), d = static_cast<unsigned>(q.latent);
  logits_gradient(block, q, row, scale, gradients.logits, weights);
  const float* means = staged != nullptr ? staged : q.means + row * components * d;
  float* d_means = gradients.means + row * components * d;
  for (unsigned first = 0; first < d; first += kTile) {
    if (d > kTile) select_tile(block, stds, q.log_stds, z + row * d, first, d);
    __syncthreads();
    const unsigned width = min(kTile, d - first);
    for (unsigned j = threadIdx.x; j < width; j += kMixtureThreads) {
      const double here = block.z[j], inverse = stds.inverse(0, first, j), factor = -scale * inverse;
      double squares = 0;
#pragma unroll 4
      for (unsigned k = 0; k < components; ++k) {
        const size_t at = static_cast<size_t>(k) * d + first + j;
        const double mean = static_cast<double>(means[at]), u = (here - mean) * inverse;
        const double share = weights[k] * u;
        double gradient = factor * share;
        if (bound > 0) gradient *= bound - mean * mean / bound;
        d_means[at] = static_cast<float>(gradient);
        squares += share * u;
      }
      const float slope = static_cast<float>((1.0 - squares) * stds.slope(0, first, j));
      slopes[first + j] = first_row ? slope : slopes[first + j] + slope;
    }
  }
}

}  // namespace

/// A grid of ⌈n / rows_per_block⌉ ≤ 1024 blocks. d_logits, d_means, d_log_stds and rows may be null together.
extern "C" __global__ void __launch_bounds__(kMixtureThreads, 6)
    mixture_nll(MixtureView q, unsigned rows_per_block, int stage, const float* __restrict__ z, float scale,
                float bound, double* __restrict__ nll, float* d_logits, float* d_means, float* d_log_stds,
                float* rows) {
  __shared__ MixtureBlock<SharedStds> block;
  const unsigned components = static_cast<unsigned>(q.components), d = static_cast<unsigned>(q.latent);
  const Gradients gradients{d_logits, d_means, d_log_stds, rows};
  float* staged = stage != 0 ? reinterpret_cast<float*>(dynamic_shared + components) : nullptr;
  SharedStds stds(block.stds);
  stds.begin(q.log_stds, d);
  const size_t first = static_cast<size_t>(blockIdx.x) * rows_per_block;
  const size_t end = min(q.n, first + rows_per_block);
  for (size_t row = first; row < end; ++row) {
    const double density =
        log_density(block, stds, q.log_stds, q.logits + row * components, q.means + row * components * d,
                    z + row * d, components, d, dynamic_shared, staged);
    if (threadIdx.x == 0) nll[row] = -density;
    if (rows != nullptr)
      backward(block, stds, q, row, z, static_cast<double>(scale), static_cast<double>(bound), gradients,
               dynamic_shared, staged, rows + blockIdx.x * static_cast<size_t>(d), row == first);
  }
  if (rows != nullptr) add_up(gradients, d, scale);
}

}  // namespace tr0n::cuda
