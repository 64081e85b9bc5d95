#pragma once
#include <cstddef>
#include <cstdint>

#include "core/training/trainer.h"
#include "device/buffer.h"

namespace tr0n {

/// What training does to a pair's condition before the translator sees it: a label drawn from probabilities,
/// noise.
class ConditionSampler {
 public:
  /// For up to `capacity` rows of m elements. Throws ERR_INVALID_ARGUMENT on a bad noise scale or covariance.
  ConditionSampler(Device& device, const TrainerConfig& config, size_t capacity, size_t m);

  /// c [n, m] in place, on the device; a function of (seed, chain, step) per row.
  void apply(const Chain* chains, uint32_t step, size_t n, float* c);

 private:
  const Kernels& kernels_;
  Philox rng_;
  size_t m_;
  bool sample_labels_;
  ConditionNoiseKind noise_;
  float scale_;
  Buffer<float> factor_, workspace_;
};

}  // namespace tr0n
