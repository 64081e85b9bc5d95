#pragma once
#include <cstddef>
#include <cstdint>

#include "core/rng.h"

namespace tr0n {

/// p(z), factorised over the d dimensions: N(0, std²); the same truncated to [-bound, bound] (redrawn beyond
/// it); or uniform on [low, high]. Plain values, so that a device's kernels can take it by value.
struct Prior {
  enum class Kind { normal, truncated_normal, uniform };
  Kind kind = Kind::normal;
  size_t dim = 0;
  float std = 1.0f;    ///< normal, truncated_normal
  float bound = 0.0f;  ///< truncated_normal: in units of z
  float low = 0.0f, high = 0.0f;

  /// Throws Error(ERR_INVALID_ARGUMENT) on values that define no density.
  void check() const;
  /// z [dim] of one chain. A function of (seed, chain, step) alone.
  void draw(const Philox& rng, Chain chain, uint32_t step, Purpose purpose, float* z) const;
  /// log p(z), normalised; -infinity outside the support.
  double log_density(const float* z) const;
  /// -log p(z) without its constant (½‖z‖²/std² inside the support, +infinity outside), and its gradient
  /// added to `gradient` times `weight`.
  double energy(const float* z) const;
  void add_energy_gradient(const float* z, float weight, float* gradient) const;
  bool contains(const float* z) const;  ///< every element finite and inside the support
  double entropy() const;               ///< in nats, all dimensions together
};

}  // namespace tr0n
