#pragma once
#include <cstddef>
#include <cstdint>

#include "device/kernels/prior.h"

namespace tr0n {

/// Turns the objective's E [n] and gradient [n, d] into the target's: targets_i = fidelity·E + prior_weight·
/// (−log p(z) without its constant), +infinity outside the prior's support or where it is not finite;
/// gradients = fidelity·∇E + prior_weight·∇(−log p), in place. `targets` may be null. z [n, d], energies and
/// targets [n], gradients [n, d]. Moves 3·n·d.
struct TargetGradient {
  Prior prior;
  double fidelity = 0, prior_weight = 0;
  size_t n = 0;
  const float *z = nullptr, *energies = nullptr;
  double* targets = nullptr;
  float* gradients = nullptr;
};

/// What samplers make of an objective's energies.
class TargetKernels {
 public:
  virtual ~TargetKernels() = default;
  virtual void gradient(const TargetGradient& a) const = 0;
};

}  // namespace tr0n
