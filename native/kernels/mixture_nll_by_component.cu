// mixture_nll with stds of each component, s = log_stds [K, d]. The same (mixture_nll.cu), but that
//   d_log_stds [K, d] = scale·Σ_i γ_k (1 − u²)·dlogσ/ds
// and that `rows` is [n, K, d]. Moves 4·n·K·d + 2·n·K + n·d floats.
#include "kernels/mixture_nll.cuh"

namespace tr0n::cuda {
namespace {

/// Of one row, after log_density(): d_logits and d_means, and the row's share of d_log_stds added to `slopes`
/// [K, d], or written there if it is the block's first. Leaves the responsibilities in `weights`.
__device__ void backward(MixtureBlock<ComponentStds>& block, ComponentStds& stds, const MixtureView& q,
                         size_t row, const float* z, double scale, double bound, const Gradients& gradients,
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
      const double here = block.z[j];
      for (unsigned k = 0; k < components; ++k) {
        const size_t at = static_cast<size_t>(k) * d + first + j;
        const double mean = static_cast<double>(means[at]), inverse = stds.inverse(k, first, j);
        const double u = (here - mean) * inverse, share = weights[k] * u;
        double gradient = -scale * inverse * share;
        if (bound > 0) gradient *= bound - mean * mean / bound;
        d_means[at] = static_cast<float>(gradient);
        const float slope = static_cast<float>((weights[k] - share * u) * stds.slope(k, first, j));
        slopes[at] = first_row ? slope : slopes[at] + slope;
      }
    }
  }
}

}  // namespace

/// As mixture_nll; `keep`: whether the stds' terms are kept in shared memory.
extern "C" __global__ void __launch_bounds__(kMixtureThreads, 6)
    mixture_nll_by_component(MixtureView q, unsigned rows_per_block, int keep, int stage,
                             const float* __restrict__ z, float scale, float bound, double* __restrict__ nll,
                             float* d_logits, float* d_means, float* d_log_stds, float* rows) {
  __shared__ MixtureBlock<ComponentStds> block;
  const unsigned components = static_cast<unsigned>(q.components), d = static_cast<unsigned>(q.latent);
  const Gradients gradients{d_logits, d_means, d_log_stds, rows};
  ComponentStds stds(dynamic_shared + components, keep != 0, q);
  float* staged = stage != 0 ? stds.end() : nullptr;
  stds.begin();
  const size_t first = static_cast<size_t>(blockIdx.x) * rows_per_block;
  const size_t end = min(q.n, first + rows_per_block);
  for (size_t row = first; row < end; ++row) {
    const double density =
        log_density(block, stds, q.log_stds, q.logits + row * components, q.means + row * components * d,
                    z + row * d, components, d, dynamic_shared, staged);
    if (threadIdx.x == 0) nll[row] = -density;
    if (rows != nullptr)
      backward(block, stds, q, row, z, static_cast<double>(scale), static_cast<double>(bound), gradients,
               dynamic_shared, staged, rows + blockIdx.x * q.components * q.latent, row == first);
  }
  if (rows != nullptr) add_up(gradients, components * d, scale);
}

}  // namespace tr0n::cuda
