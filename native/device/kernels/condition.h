#pragma once
#include <cstddef>
#include <cstdint>

#include "base/rng.h"

namespace tr0n {

/// What is added to a condition in training (method.md, "Condition noise").
enum class ConditionNoiseKind { none, isotropic, adaptive, covariance };

/// out = c + noise, [n, m]; out may be c. isotropic: scale·ε. adaptive: ε rescaled to the norm scale·‖c‖.
/// covariance: L·ε with `factor` L [m, m] lower triangular. ε by Purpose::condition_noise, `workspace` [n,
/// m]. Moves 2·n·m.
struct ConditionNoise {
  ConditionNoiseKind kind = ConditionNoiseKind::none;
  float scale = 0;
  const float* factor = nullptr;
  size_t n = 0, m = 0;
  const Chain* chains = nullptr;
  uint32_t step = 0;
  Philox rng;
  const float* c = nullptr;
  float *workspace = nullptr, *out = nullptr;
};

/// out_i = one-hot(y), y ~ Categorical(c_i / Σ c_i) by inverse CDF of one uniform (Purpose::label); negative
/// entries count as zero. out may be c. Moves 2·n·m.
struct SampleLabels {
  size_t n = 0, m = 0;
  const Chain* chains = nullptr;
  uint32_t step = 0;
  Philox rng;
  const float* c = nullptr;
  float* out = nullptr;
};

/// Conditions in training: noise on them and labels drawn from them. n conditions c [n, m] of chains [n].
class ConditionKernels {
 public:
  virtual ~ConditionKernels() = default;
  virtual void noise(const ConditionNoise& a) const = 0;
  virtual void labels(const SampleLabels& a) const = 0;
};

}  // namespace tr0n
