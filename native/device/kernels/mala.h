#pragma once
#include <cstddef>
#include <cstdint>

#include "base/rng.h"

namespace tr0n {

/// One chain's Metropolis-adjusted Langevin bookkeeping.
struct MalaState {
  double energy;      ///< U at the current point: λE + prior_weight·(−log p)
  double log_step;    ///< log h
  double acceptance;  ///< Σ accept probabilities
};

/// z' = z − h·D + √(2h)·ξ with h = exp(log_step) per chain, ξ by Purpose::proposal. z, drift D and proposal
/// z' [n, d], states [n]. Moves 3·n·d.
struct MalaPropose {
  size_t n = 0, d = 0;
  const MalaState* states = nullptr;
  const Chain* chains = nullptr;
  uint32_t step = 0;
  Philox rng;
  const float *z = nullptr, *drift = nullptr;
  float* proposal = nullptr;
};

/// Accepts with a = min(1, exp(U(z) − U(z') + [‖z' − z + hD(z)‖² − ‖z − z' + hD(z')‖²]/4h)): proposal, its
/// drift, its U and the objective's energy replace the current ones. NaN or +infinity rejects. Then, where
/// `adapt` > 0, log h += adapt·(a − target_accept − ⅓·log(−log a / 4)), the logarithm where it is above 0
/// and up to log 1e6: a alone does not tell how far off a step size is, and log a of steps that are far too
/// long grows at least as h³ does. Nothing of it where U is infinite. Uniform by Purpose::accept. z, drift D
/// and proposal with its drift [n, d], energies, targets U and states [n]. Moves 4 to 6·n·d.
struct MalaAccept {
  size_t n = 0, d = 0;
  const Chain* chains = nullptr;
  uint32_t step = 0;
  Philox rng;
  double adapt = 0, target_accept = 0;
  const float *proposal = nullptr, *proposal_drift = nullptr, *proposal_energies = nullptr;
  const double* proposal_targets = nullptr;
  MalaState* states = nullptr;
  float *z = nullptr, *drift = nullptr, *energies = nullptr;
};

/// The Metropolis-adjusted Langevin algorithm on n chains [n], z [n, d].
class MalaKernels {
 public:
  virtual ~MalaKernels() = default;
  virtual void propose(const MalaPropose& a) const = 0;
  virtual void accept(const MalaAccept& a) const = 0;
};

}  // namespace tr0n
