// The mixture's negative log-likelihood and its gradients in one pass and one launch. Row i of n: logits [K],
// means [K, d], z [d]; σ = e^s + 1e-6, s = log_stds [d], or [K, d] in mixture_nll_by_component. γ =
// softmax_k(log π_k + log N_k), u = (z − μ)/σ:
//   nll_i = −log Σ_k π_k N(z; μ_k, diag σ²)          d_logits = scale·(π − γ)
//   d_means = −scale·γ_k·u/σ (times bound − μ²/bound where bound > 0)
//   d_log_stds = scale·Σ_i (1 − Σ_k γ_k u²)·dlogσ/ds, or of each component scale·Σ_i γ_k (1 − u²)·dlogσ/ds
// A block has n/1024 neighbouring rows, at least one: distances by warps, log-sum-exps, then a thread for
// each dimension. What its rows give to d_log_stds it leaves in its row of `rows`, [n, d] or [n, K, d]; the
// last block of a group of 32 to get there adds up its group's, and the last group adds up the groups', in
// the order of the blocks. Log-densities in double (mixture.cuh), and gradients with them: u reaches 10^44 at
// the floor of σ. Moves 2·n·K·d + 2·n·K + 3·n·d floats; the means are read once where K·d of them fit into
// shared memory.
#include <type_traits>

#include "kernels/mixture.cuh"

namespace tr0n::cuda {
namespace {

constexpr unsigned kGroup = 32, kMaxGroups = 32;

// Weights [K]; of stds of each component what ComponentStds keeps; the staged means [K, d] if any.
extern __shared__ double dynamic_shared[];
__device__ unsigned arrived_in_group[kMaxGroups], arrived_groups;

/// Whether this block is the last of `expected` to get here; all threads of the block call it. What the
/// others wrote before they came can be read with __ldcg.
__device__ bool last_to_arrive(unsigned* arrived, unsigned expected) {
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) last = atomicInc(arrived, expected - 1) == expected - 1;
  __syncthreads();
  if (last) __threadfence();
  return last;
}

/// Σ over `count` rows that stand `stride` floats apart.
__device__ float column_sum(const float* column, unsigned count, size_t stride) {
  CompensatedSum sum;
#pragma unroll 8
  for (unsigned i = 0; i < count; ++i) sum.add(__ldcg(column + i * stride));
  return sum.value();
}

struct Gradients {
  float *logits, *means, *log_stds, *rows;
};

/// What a row gives to d_log_stds, added to the block's share, or written there if it is its first.
__device__ void add_slope(float* share, double slope, bool first_row) {
  const float value = static_cast<float>(slope);
  *share = first_row ? value : *share + value;
}

/// Of one row, after log_density(): d_logits and d_means, and the row's share of d_log_stds into `slopes`,
/// [d] or [K, d]. Leaves the responsibilities in `weights`.
template <class Stds>
__device__ void backward(MixtureBlock& block, Stds& stds, const MixtureView& q, size_t row, const float* z,
                         double scale, double bound, const Gradients& gradients, double* weights,
                         const float* staged, float* slopes, bool first_row) {
  constexpr bool by_component = std::is_same_v<Stds, ComponentStds>;
  const unsigned components = static_cast<unsigned>(q.components), d = static_cast<unsigned>(q.latent);
  for (unsigned k = threadIdx.x; k < components; k += kMixtureThreads) {
    const size_t at = row * components + k;
    const double responsibility = exp(weights[k] - block.weights_norm);
    const double probability = exp(static_cast<double>(q.logits[at]) - block.logits_norm);
    gradients.logits[at] = static_cast<float>(scale * (probability - responsibility));
    weights[k] = responsibility;
  }
  const float* means = staged != nullptr ? staged : q.means + row * components * d;
  float* d_means = gradients.means + row * components * d;
  for (unsigned first = 0; first < d; first += kTile) {
    if (d > kTile) select_tile(block, stds, z + row * d, first, d);
    __syncthreads();
    const unsigned width = min(kTile, d - first);
    for (unsigned j = threadIdx.x; j < width; j += kMixtureThreads) {
      const double here = block.z[j];
      double inverse = 0, factor = 0, squares = 0;
      if (!by_component) {
        inverse = stds.inverse(0, first, j);
        factor = -scale * inverse;
      }
#pragma unroll 4
      for (unsigned k = 0; k < components; ++k) {
        const size_t at = static_cast<size_t>(k) * d + first + j;
        if (by_component) {
          inverse = stds.inverse(k, first, j);
          factor = -scale * inverse;
        }
        const double mean = static_cast<double>(means[at]), u = (here - mean) * inverse;
        const double share = weights[k] * u;
        double gradient = factor * share;
        if (bound > 0) gradient *= bound - mean * mean / bound;
        d_means[at] = static_cast<float>(gradient);
        if (by_component)
          add_slope(slopes + at, (weights[k] - share * u) * stds.slope(k, first, j), first_row);
        else
          squares += share * u;
      }
      if (!by_component) add_slope(slopes + first + j, (1.0 - squares) * stds.slope(0, first, j), first_row);
    }
  }
}

/// d_log_stds from the blocks' rows of `width` floats.
__device__ void add_up(const Gradients& gradients, size_t width, float scale) {
  const unsigned group = blockIdx.x / kGroup, groups = (gridDim.x + kGroup - 1) / kGroup;
  const unsigned members = min(kGroup, gridDim.x - group * kGroup);
  if (!last_to_arrive(&arrived_in_group[group], members)) return;
  float* own = gradients.rows + group * kGroup * width;
  for (size_t j = threadIdx.x; j < width; j += kMixtureThreads) own[j] = column_sum(own + j, members, width);
  if (!last_to_arrive(&arrived_groups, groups)) return;
  for (size_t j = threadIdx.x; j < width; j += kMixtureThreads)
    gradients.log_stds[j] = scale * column_sum(gradients.rows + j, groups, kGroup * width);
}

/// The rows of a block; `width` is that of a row of log_stds.
template <class Stds>
__device__ void nll_of_rows(Stds stds, size_t width, const MixtureView& q, unsigned rows_per_block,
                            float* staged, const float* __restrict__ z, float scale, float bound,
                            double* __restrict__ nll, const Gradients& gradients) {
  __shared__ MixtureBlock block;
  const unsigned components = static_cast<unsigned>(q.components), d = static_cast<unsigned>(q.latent);
  stds.begin();
  const size_t first = static_cast<size_t>(blockIdx.x) * rows_per_block;
  const size_t end = min(q.n, first + rows_per_block);
  for (size_t row = first; row < end; ++row) {
    const double density =
        log_density(block, stds, q.logits + row * components, q.means + row * components * d, z + row * d,
                    components, d, dynamic_shared, staged);
    if (threadIdx.x == 0) nll[row] = -density;
    if (gradients.rows != nullptr)
      backward(block, stds, q, row, z, static_cast<double>(scale), static_cast<double>(bound), gradients,
               dynamic_shared, staged, gradients.rows + blockIdx.x * width, row == first);
  }
  if (gradients.rows != nullptr) add_up(gradients, width, scale);
}

}  // namespace

/// A grid of ⌈n / rows_per_block⌉ ≤ 1024 blocks. d_logits, d_means, d_log_stds and rows may be null together.
extern "C" __global__ void __launch_bounds__(kMixtureThreads, 6)
    mixture_nll(MixtureView q, unsigned rows_per_block, int stage, const float* __restrict__ z, float scale,
                float bound, double* __restrict__ nll, float* d_logits, float* d_means, float* d_log_stds,
                float* rows) {
  __shared__ SharedStds::Memory memory;
  const unsigned d = static_cast<unsigned>(q.latent);
  float* staged = stage != 0 ? reinterpret_cast<float*>(dynamic_shared + q.components) : nullptr;
  nll_of_rows(SharedStds(memory, q.log_stds, d), q.latent, q, rows_per_block, staged, z, scale, bound, nll,
              {d_logits, d_means, d_log_stds, rows});
}

/// The same with stds of each component, whose terms stay in shared memory where `keep` is not 0.
extern "C" __global__ void __launch_bounds__(kMixtureThreads, 6)
    mixture_nll_by_component(MixtureView q, unsigned rows_per_block, int keep, int stage,
                             const float* __restrict__ z, float scale, float bound, double* __restrict__ nll,
                             float* d_logits, float* d_means, float* d_log_stds, float* rows) {
  const unsigned components = static_cast<unsigned>(q.components), d = static_cast<unsigned>(q.latent);
  const ComponentStds stds(dynamic_shared + components, keep != 0, q.log_stds, components, d);
  float* staged = stage != 0 ? stds.end() : nullptr;
  nll_of_rows(stds, q.components * q.latent, q, rows_per_block, staged, z, scale, bound, nll,
              {d_logits, d_means, d_log_stds, rows});
}

}  // namespace tr0n::cuda
