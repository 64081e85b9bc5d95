#pragma once
#include <cstddef>
#include <cstdint>

#include "base/rng.h"
#include "device/kernels/mixture.h"
#include "device/kernels/prior.h"

namespace tr0n {

/// What is carried from one candidate of a chain to the next, so that any number of candidates is seen in one
/// pass and more can be added later.
struct ResampleState {
  double best_score, best_energy;  ///< of the largest ℓ + Gumbel so far; -infinity before the first
  double largest, sum, square_sum;  ///< max ℓ, Σ exp(ℓ - max), Σ exp(2(ℓ - max)): ESS = sum² / square_sum
};

/// Candidates of q' = (1−α)·q + α·p: z_i is candidate steps[i] of chain chains[i] under mixture rows[i].
/// From the prior where the uniform of Purpose::candidate_choice is below α (drawn by candidate_prior), else
/// from q (candidate_component, candidate_normal). A function of (chain, steps[i]) alone. rows, chains,
/// steps [n], z [n, d]. Moves n·(K + 2d).
struct DrawCandidates {
  MixtureView q;
  Prior prior;
  double alpha = 0;
  const uint32_t* rows = nullptr;
  const Chain* chains = nullptr;
  const uint32_t* steps = nullptr;
  size_t n = 0;
  Philox rng;
  float* z = nullptr;
};

/// ℓ_i = prior_weight·log p(z_i) − fidelity·E_i − log q'(z_i) in double; −infinity where E_i is not finite
/// or z_i lies outside the prior's support. rows [n] indices into q, z [n, d], energies and log_weights ℓ
/// [n]. Moves n·(K·d + K + d).
struct ImportanceWeights {
  MixtureView q;
  Prior prior;
  double alpha = 0, fidelity = 0, prior_weight = 0;
  const uint32_t* rows = nullptr;
  size_t n = 0;
  const float *z = nullptr, *energies = nullptr;
  double* log_weights = nullptr;
};

/// Gumbel arg-max over candidates: for each of n chains, its `count` consecutive candidates (numbers
/// first_step …) in z [n·count, d], energies and log_weights [n·count] are taken into `states` [n] and the
/// winner so far into best [n, d]. Gumbel noise by (chain, Purpose::resample, element = candidate number).
/// Where `members` [n] are given, chain i's places in chains, states and best are members[i], no two alike.
/// Moves n·count + n·d.
struct Resample {
  size_t n = 0, count = 0, d = 0;
  const uint32_t* members = nullptr;
  const Chain* chains = nullptr;
  uint32_t first_step = 0;
  Philox rng;
  const float *z = nullptr, *energies = nullptr;
  const double* log_weights = nullptr;
  ResampleState* states = nullptr;
  float* best = nullptr;
};

/// Importance resampling over candidates, numbered within a chain.
class ResampleKernels {
 public:
  virtual ~ResampleKernels() = default;
  virtual void candidates(const DrawCandidates& a) const = 0;
  virtual void weights(const ImportanceWeights& a) const = 0;
  virtual void choose(const Resample& a) const = 0;
};

}  // namespace tr0n
