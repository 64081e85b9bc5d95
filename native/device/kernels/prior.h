#pragma once
#include <cstddef>
#include <cstdint>

#include "base/rng.h"

namespace tr0n {

/// One dimension of Prior::Kind::elements: N(mean, std²) restricted to [low, high], which is either infinite
/// on both sides or symmetric about the mean; or, where std is infinite, uniform on [low, high].
struct PriorElement {
  float mean = 0, std = 1, low = 0, high = 0;
};

/// p(z), factorised over the d dimensions: N(0, std²); the same truncated to [-bound, bound] (redrawn beyond
/// it); uniform on [low, high]; or every dimension with its own of these (`elements`). Plain values, so that
/// a device's kernels can take it by value, with `elements` in that device's memory
/// (core/prior/prior_elements.h).
struct Prior {
  enum class Kind { normal, truncated_normal, uniform, elements };
  Kind kind = Kind::normal;
  size_t dim = 0;
  float std = 1.0f;    ///< normal, truncated_normal
  float bound = 0.0f;  ///< truncated_normal: in units of z
  float low = 0.0f, high = 0.0f;
  const PriorElement* elements = nullptr;  ///< [dim], Kind::elements
  double elements_peak = 0;  ///< log_peak() of the elements, which may lie where the host cannot look

  /// Throws Error(ERR_INVALID_ARGUMENT) on values that define no density.
  void check() const;
  /// z [dim] of one chain. A function of (seed, chain, step) alone.
  void draw(const Philox& rng, Chain chain, uint32_t step, Purpose purpose, float* z) const;
  /// log p(z), normalised; -infinity outside the support.
  double log_density(const float* z) const;
  double log_peak() const;  ///< log p where -log p without its constant is 0
  /// -log p(z) without its constant (½‖z − mean‖²/std² inside the support, +infinity outside), and its
  /// gradient added to `gradient` times `weight`.
  double energy(const float* z) const;
  void add_energy_gradient(const float* z, float weight, float* gradient) const;
  bool contains(const float* z) const;                   ///< every element finite and inside the support
  bool bounded() const { return kind != Kind::normal; }  ///< whether anything may be outside the support
  void move_inside(float* z) const;  ///< to the nearest point of the support; what is not finite stays
  double entropy() const;            ///< in nats, all dimensions together
};

/// Σ_j log p_j at the point where each is largest.
double log_peak(const PriorElement* elements, size_t count);

}  // namespace tr0n
