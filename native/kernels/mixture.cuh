#pragma once
#include "kernels/mixture_stds.cuh"

// Log-densities of mixtures (device/kernels/mixture_math.cpp), a block of 128 threads for each row.
//
// Distances are in double, as on the CPU: a responsibility's relative error is the absolute error of a
// distance, and at σ = 0.01 distances of 10^6 are usual, which float would leave uncertain by 0.1. Half of
// the FLOPs are conversions and differences; on a GPU with few double-precision units a batch of 256 official
// rows costs about as much as one more launch.
namespace tr0n::cuda {

constexpr double kHalfLog2Pi = 0.91893853320467274178;

/// What a block keeps in static shared memory: of the stds, and of the row it is at. One struct, so that one
/// register addresses all of it.
template <class Stds>
struct MixtureBlock {
  typename Stds::Memory stds;
  double z[kTile];
  double weights_norm, logits_norm;
};

/// Makes the tile at `first` the one that the block holds, of the stds and of z.
template <class Stds>
__device__ inline void select_tile(MixtureBlock<Stds>& block, Stds& stds, const float* log_stds,
                                   const float* z, unsigned first, unsigned d) {
  __syncthreads();  // the tile before is no longer read
  stds.select(first, log_stds, d);
  const unsigned width = min(kTile, d - first);
  for (unsigned j = threadIdx.x; j < width; j += kMixtureThreads)
    block.z[j] = static_cast<double>(z[first + j]);
  __syncthreads();
  stds.select_done(first);
}

/// log Σ exp of n values, by one warp.
template <class T>
__device__ inline double warp_log_sum_exp(const T* values, unsigned n) {
  double largest = -__longlong_as_double(0x7FF0000000000000);
  for (unsigned k = threadIdx.x % kWarp; k < n; k += kWarp)
    largest = fmax(largest, static_cast<double>(values[k]));
  largest = warp_max(largest);
  if (!isfinite(largest)) return largest;
  double sum = 0;
  for (unsigned k = threadIdx.x % kWarp; k < n; k += kWarp)
    sum += exp(static_cast<double>(values[k]) - largest);
  return largest + log(warp_sum(sum));
}

/// log Σ_k π_k N(z; μ_k, diag σ²) of one row: logits [components], means [components, d], z [d]. A warp takes
/// a component at a time. On return `weights` [components], in shared memory, has the log-weights whose
/// softmax are the responsibilities, weights_norm and logits_norm their log-sum-exps; `staged` [components,
/// d], in shared memory, gets the means where it is not null.
template <class Stds>
__device__ inline double log_density(MixtureBlock<Stds>& block, Stds& stds, const float* log_stds,
                                     const float* logits, const float* means, const float* z,
                                     unsigned components, unsigned d, double* weights, float* staged) {
  const unsigned warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  for (unsigned first = 0; first < d; first += kTile) {
    select_tile(block, stds, log_stds, z, first, d);
    const unsigned width = min(kTile, d - first);
    for (unsigned k = warp; k < components; k += kMixtureWarps) {
      const size_t base = static_cast<size_t>(k) * d + first;
      double sum = 0;
#pragma unroll 4
      for (unsigned j = lane; j < width; j += kWarp) {
        const float mean = means[base + j];
        if (staged != nullptr) staged[base + j] = mean;
        const double u = (block.z[j] - static_cast<double>(mean)) * stds.inverse(k, first, j);
        sum += u * u;
      }
      sum = warp_sum(sum);
      if (lane == 0)
        weights[k] =
            (first == 0 ? static_cast<double>(logits[k]) - stds.log_sum_of(k) : weights[k]) - 0.5 * sum;
    }
  }
  __syncthreads();
  if (warp == 0) {
    const double norm = warp_log_sum_exp(weights, components);
    if (lane == 0) block.weights_norm = norm;
  } else if (warp == 1) {
    const double norm = warp_log_sum_exp(logits, components);
    if (lane == 0) block.logits_norm = norm;
  }
  __syncthreads();
  return block.weights_norm - block.logits_norm - stds.log_sum() - d * kHalfLog2Pi;
}

}  // namespace tr0n::cuda
