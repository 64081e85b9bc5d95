#pragma once
#include "core/kernels.h"
#include "kernels/reduce.cuh"

// Log-densities of mixtures (core/mixture_math.cpp), a block of 128 threads for each row.
//
// Distances are in double, as on the CPU: a responsibility's relative error is the absolute error of a
// distance, and at σ = 0.01 distances of 10^6 are usual, which float would leave uncertain by 0.1. Half of
// the FLOPs are conversions and differences; on a GPU with few double-precision units a batch of 256 official
// rows costs about as much as one more launch.
//
// σ of up to kTile dimensions stays in shared memory from row to row; larger d go tile by tile, each tile
// made anew for each row.
namespace tr0n::cuda {

constexpr unsigned kMixtureThreads = 128, kMixtureWarps = kMixtureThreads / kWarp, kTile = 512;
constexpr double kHalfLog2Pi = 0.91893853320467274178;

/// Of σ = e^s + 1e-6, neither overflowing for large |s|: with x = e^−|s|, σ = x + 1e-6 or (1 + 1e-6·x)/x.
struct StdTerms {
  double inverse;  ///< 1/σ
  double log;      ///< log σ
  double slope;    ///< d log σ / ds
};
__device__ inline StdTerms std_terms(float log_std) {
  constexpr double floor = 1e-6;
  const double s = static_cast<double>(log_std), x = exp(-fabs(s));
  const bool small = s <= 0;
  const double sum = small ? x + floor : 1 + floor * x, quotient = 1 / sum;
  return {small ? quotient : x * quotient, (small ? 0 : s) + log(sum), small ? x * quotient : quotient};
}

/// What a block keeps of a mixture and of the row it is at.
struct MixtureBlock {
  double inverse[kTile];  ///< 1/σ of the tile's dimensions
  double z[kTile];
  float slope[kTile];
  double parts[kMixtureWarps];
  double log_std_sum, weights_norm, logits_norm;
  unsigned tile;  ///< first dimension of what `inverse` and `slope` hold
};

/// The terms of dimensions first … of log_stds [d] into the block; this thread's share of Σ log σ.
__device__ inline double load_stds(MixtureBlock& block, const float* log_stds, unsigned first, unsigned d) {
  double log_sum = 0;
  const unsigned width = min(kTile, d - first);
  for (unsigned j = threadIdx.x; j < width; j += kMixtureThreads) {
    const StdTerms terms = std_terms(log_stds[first + j]);
    block.inverse[j] = terms.inverse;
    block.slope[j] = static_cast<float>(terms.slope);
    log_sum += terms.log;
  }
  return log_sum;
}

/// Once per block, before the first row: the first tile, and log_std_sum over all of them.
__device__ inline void begin_mixture(MixtureBlock& block, const float* log_stds, unsigned d) {
  double log_sum = 0;
  for (unsigned first = kTile; first < d; first += kTile) log_sum += load_stds(block, log_stds, first, d);
  log_sum += load_stds(block, log_stds, 0, d);
  log_sum = warp_sum(log_sum);
  if (threadIdx.x % kWarp == 0) block.parts[threadIdx.x / kWarp] = log_sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    double sum = 0;
    for (const double part : block.parts) sum += part;
    block.log_std_sum = sum;
    block.tile = 0;
  }
  __syncthreads();
}

/// Makes the tile at `first` the one that the block holds, with z's part of it.
__device__ inline void select_tile(MixtureBlock& block, const float* log_stds, const float* z, unsigned first,
                                   unsigned d) {
  __syncthreads();  // the tile before is no longer read
  if (block.tile != first) load_stds(block, log_stds, first, d);
  const unsigned width = min(kTile, d - first);
  for (unsigned j = threadIdx.x; j < width; j += kMixtureThreads)
    block.z[j] = static_cast<double>(z[first + j]);
  __syncthreads();
  if (threadIdx.x == 0) block.tile = first;
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
__device__ inline double log_density(MixtureBlock& block, const float* log_stds, const float* logits,
                                     const float* means, const float* z, unsigned components, unsigned d,
                                     double* weights, float* staged) {
  const unsigned warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  for (unsigned first = 0; first < d; first += kTile) {
    select_tile(block, log_stds, z, first, d);
    const unsigned width = min(kTile, d - first);
    for (unsigned k = warp; k < components; k += kMixtureWarps) {
      const size_t base = static_cast<size_t>(k) * d + first;
      double sum = 0;
#pragma unroll 4
      for (unsigned j = lane; j < width; j += kWarp) {
        const float mean = means[base + j];
        if (staged != nullptr) staged[base + j] = mean;
        const double u = (block.z[j] - static_cast<double>(mean)) * block.inverse[j];
        sum += u * u;
      }
      sum = warp_sum(sum);
      if (lane == 0) weights[k] = (first == 0 ? static_cast<double>(logits[k]) : weights[k]) - 0.5 * sum;
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
  return block.weights_norm - block.logits_norm - block.log_std_sum - d * kHalfLog2Pi;
}

}  // namespace tr0n::cuda
