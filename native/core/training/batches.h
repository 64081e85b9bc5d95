#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/training/condition_sampler.h"
#include "device/buffer.h"

namespace tr0n {

/// Which pairs a training step sees, and in what form. Every epoch is a permutation of its own, a function of
/// (seed, epoch); labels and noise are functions of (seed, epoch, pair).
class Batches {
 public:
  /// Pairs on the host, not copied: z [n, d], c [n, m], y [n, auxiliary] or null.
  Batches(const Translator& translator, const TrainerConfig& config, const float* z, const float* c,
          const float* y, size_t n);

  size_t per_epoch() const { return (n_ + batch_ - 1) / batch_; }

  /// Gathers the pairs of a step (from 0) and returns how many there are.
  size_t load(uint64_t step);
  /// Draws the labels and the noise of the n conditions that were loaded; kernel calls only.
  void condition(uint64_t epoch, size_t n) {
    conditions_.apply(chains_.device(), static_cast<uint32_t>(epoch), n, c_.device());
  }
  const float* z() const { return z_.device(); }
  const float* c() const { return c_.device(); }
  const float* y() const { return auxiliary_ > 0 ? y_.device() : nullptr; }
  /// On the host, where the loss is relaxed: the loaded conditions as they were before condition(), and whose
  /// they are.
  const float* given() const { return given_.data(); }
  const Chain* chains() const { return chains_.host(); }

 private:
  void shuffle(uint64_t epoch);

  size_t n_, batch_, d_, m_, auxiliary_;
  const float *all_z_, *all_c_, *all_y_;
  Philox rng_;
  ConditionSampler conditions_;
  std::vector<uint32_t> order_;
  uint64_t shuffled_epoch_;
  Mirror<float> z_, c_, y_;
  Mirror<Chain> chains_;
  std::vector<float> given_;
};

}  // namespace tr0n
