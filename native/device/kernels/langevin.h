#pragma once
#include <cstddef>
#include <cstdint>

#include "base/rng.h"

namespace tr0n {

/// Momentum SGD with noise: g clipped per chain (clip_coefficient), b ← momentum·b + g (b ← g where
/// `first`), z ← z − learning_rate·b + noise·ε, then clamped to ±bound (0 = off). ε by
/// Purpose::langevin_noise, from Philox block `first_block` on: groups of a chain's dimensions that move in
/// calls of their own share no numbers. gradients g, momenta b and z [n, d]. Moves 5·n·d.
struct LangevinUpdate {
  size_t n = 0, d = 0;
  const Chain* chains = nullptr;
  uint32_t step = 0, first_block = 0;
  Philox rng;
  bool first = false;
  float learning_rate = 0, momentum = 0, noise = 0;
  double clip = 0;
  float bound = 0;
  const float* gradients = nullptr;
  float *momenta = nullptr, *z = nullptr;
};

/// Momentum SGD with noise on n chains.
class LangevinKernels {
 public:
  virtual ~LangevinKernels() = default;
  virtual void update(const LangevinUpdate& a) const = 0;
};

}  // namespace tr0n
