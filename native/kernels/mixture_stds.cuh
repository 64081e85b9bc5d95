#pragma once
#include "device/kernels/mixture.h"
#include "kernels/reduce.cuh"

// What a block of 128 threads keeps of a mixture's standard deviations from row to row: shared by its
// components, or each component's own. Kernels take one of the two as a template parameter, so that a mixture
// with shared ones pays nothing for the other.
namespace tr0n::cuda {

constexpr unsigned kMixtureThreads = 128, kMixtureWarps = kMixtureThreads / kWarp, kTile = 512;

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

/// log_stds [d]. σ of up to kTile dimensions stays in shared memory; larger d go tile by tile, each tile made
/// anew for each row.
class SharedStds {
 public:
  /// Of a block, in shared memory.
  struct Memory {
    double inverse[kTile];  ///< 1/σ of the tile's dimensions
    float slope[kTile];
    double parts[kMixtureWarps];
    double log_sum;
    unsigned tile;  ///< first dimension of what `inverse` and `slope` hold
  };

  __device__ explicit SharedStds(Memory& memory) : memory_(memory) {}

  /// Once per block, before the first row: the first tile, and Σ log σ over all of them.
  __device__ void begin(const float* log_stds, unsigned d) {
    double log_sum = 0;
    for (unsigned first = kTile; first < d; first += kTile) log_sum += load(first, log_stds, d);
    log_sum += load(0, log_stds, d);
    log_sum = warp_sum(log_sum);
    if (threadIdx.x % kWarp == 0) memory_.parts[threadIdx.x / kWarp] = log_sum;
    __syncthreads();
    if (threadIdx.x == 0) {
      double sum = 0;
      for (const double part : memory_.parts) sum += part;
      memory_.log_sum = sum;
      memory_.tile = 0;
    }
    __syncthreads();
  }

  /// Between two barriers: makes the tile at `first` the one that is held. select_done() follows them.
  __device__ void select(unsigned first, const float* log_stds, unsigned d) {
    if (memory_.tile != first) load(first, log_stds, d);
  }
  __device__ void select_done(unsigned first) {
    if (threadIdx.x == 0) memory_.tile = first;
  }

  /// Of dimension `first` + j of any component, `first` being the tile's.
  __device__ double inverse(unsigned, unsigned, unsigned j) const { return memory_.inverse[j]; }
  __device__ double slope(unsigned, unsigned, unsigned j) const {
    return static_cast<double>(memory_.slope[j]);
  }
  __device__ double log_sum() const { return memory_.log_sum; }  ///< Σ log σ, alike in all components
  __device__ double log_sum_of(unsigned) const { return 0; }     ///< what a component has beyond it

 private:
  /// The terms of dimensions first … into the block's memory; this thread's share of Σ log σ.
  __device__ double load(unsigned first, const float* log_stds, unsigned d) {
    double log_sum = 0;
    const unsigned width = min(kTile, d - first);
    for (unsigned j = threadIdx.x; j < width; j += kMixtureThreads) {
      const StdTerms terms = std_terms(log_stds[first + j]);
      memory_.inverse[j] = terms.inverse;
      memory_.slope[j] = static_cast<float>(terms.slope);
      log_sum += terms.log;
    }
    return log_sum;
  }

  Memory& memory_;
};

/// log_stds [K, d]: in dynamic shared memory, Σ log σ of every component, and the terms of every dimension
/// where the launch has room for them (`kept`); otherwise they are made anew wherever they are read.
class ComponentStds {
 public:
  struct Memory {};  ///< no static shared memory

  /// `dynamic`: K doubles, and what K·d doubles and floats take more if `kept`.
  __device__ ComponentStds(double* dynamic, bool kept, const MixtureView& q)
      : components_(static_cast<unsigned>(q.components)),
        d_(static_cast<unsigned>(q.latent)),
        log_stds_(q.log_stds),
        log_sums_(dynamic),
        inverses_(kept ? dynamic + components_ : nullptr),
        slopes_(kept ? reinterpret_cast<float*>(inverses_ + components_ * d_) : nullptr) {}
  /// What follows in dynamic shared memory.
  __device__ float* end() const {
    return inverses_ == nullptr ? reinterpret_cast<float*>(log_sums_ + components_)
                                : slopes_ + components_ * d_;
  }

  /// Once per block, before the first row, whose first tile's barriers come before anything is read. A warp
  /// takes a component at a time.
  __device__ void begin() {
    for (unsigned k = threadIdx.x / kWarp; k < components_; k += kMixtureWarps) {
      double log_sum = 0;
      for (unsigned j = threadIdx.x % kWarp; j < d_; j += kWarp) {
        const size_t at = static_cast<size_t>(k) * d_ + j;
        const StdTerms terms = std_terms(log_stds_[at]);
        if (inverses_ != nullptr) {
          inverses_[at] = terms.inverse;
          slopes_[at] = static_cast<float>(terms.slope);
        }
        log_sum += terms.log;
      }
      log_sum = warp_sum(log_sum);
      if (threadIdx.x % kWarp == 0) log_sums_[k] = log_sum;
    }
  }

  __device__ void select(unsigned, const float*, unsigned) {}
  __device__ void select_done(unsigned) {}

  __device__ double inverse(unsigned k, unsigned first, unsigned j) const {
    const size_t at = static_cast<size_t>(k) * d_ + first + j;
    return inverses_ != nullptr ? inverses_[at] : std_terms(log_stds_[at]).inverse;
  }
  __device__ double slope(unsigned k, unsigned first, unsigned j) const {
    const size_t at = static_cast<size_t>(k) * d_ + first + j;
    return inverses_ != nullptr ? static_cast<double>(slopes_[at]) : std_terms(log_stds_[at]).slope;
  }
  __device__ double log_sum() const { return 0; }
  __device__ double log_sum_of(unsigned k) const { return log_sums_[k]; }

 private:
  unsigned components_, d_;
  const float* log_stds_;
  double *log_sums_, *inverses_;
  float* slopes_;
};

}  // namespace tr0n::cuda
