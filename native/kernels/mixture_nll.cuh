#pragma once
#include "kernels/mixture.cuh"

// What the mixture's negative log-likelihood (mixture_nll.cu) does alike with stds that its components share
// and with those of each component (mixture_nll_by_component.cu).
namespace tr0n::cuda {

constexpr unsigned kGroup = 32, kMaxGroups = 32;

// Weights [K]; what ComponentStds keeps; the staged means [K, d] if any.
extern __shared__ double dynamic_shared[];
static __device__ unsigned arrived_in_group[kMaxGroups], arrived_groups;

/// Whether this block is the last of `expected` to get here; all threads of the block call it. What the
/// others wrote before they came can be read with __ldcg.
__device__ inline bool last_to_arrive(unsigned* arrived, unsigned expected) {
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) last = atomicInc(arrived, expected - 1) == expected - 1;
  __syncthreads();
  if (last) __threadfence();
  return last;
}

/// Σ over `count` rows that stand `stride` floats apart.
__device__ inline float column_sum(const float* column, unsigned count, size_t stride) {
  CompensatedSum sum;
#pragma unroll 8
  for (unsigned i = 0; i < count; ++i) sum.add(__ldcg(column + i * stride));
  return sum.value();
}

struct Gradients {
  float *logits, *means, *log_stds, *rows;
};

/// d_logits of one row, after log_density(); leaves the responsibilities in `weights`.
template <class Stds>
__device__ inline void logits_gradient(const MixtureBlock<Stds>& block, const MixtureView& q, size_t row,
                                       double scale, float* d_logits, double* weights) {
  const unsigned components = static_cast<unsigned>(q.components);
  for (unsigned k = threadIdx.x; k < components; k += kMixtureThreads) {
    const size_t at = row * components + k;
    const double responsibility = exp(weights[k] - block.weights_norm);
    const double probability = exp(static_cast<double>(q.logits[at]) - block.logits_norm);
    d_logits[at] = static_cast<float>(scale * (probability - responsibility));
    weights[k] = responsibility;
  }
}

/// d_log_stds [width] from the blocks' rows.
__device__ inline void add_up(const Gradients& gradients, unsigned width, float scale) {
  const unsigned group = blockIdx.x / kGroup, groups = (gridDim.x + kGroup - 1) / kGroup;
  const unsigned members = min(kGroup, gridDim.x - group * kGroup);
  if (!last_to_arrive(&arrived_in_group[group], members)) return;
  float* own = gradients.rows + static_cast<size_t>(group) * kGroup * width;
  for (unsigned j = threadIdx.x; j < width; j += kMixtureThreads)
    own[j] = column_sum(own + j, members, width);
  if (!last_to_arrive(&arrived_groups, groups)) return;
  for (unsigned j = threadIdx.x; j < width; j += kMixtureThreads)
    gradients.log_stds[j] =
        scale * column_sum(gradients.rows + j, groups, static_cast<size_t>(kGroup) * width);
}

}  // namespace tr0n::cuda
