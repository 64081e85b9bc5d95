#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "device/kernels/normal_quantile.h"

namespace tr0n {

/// Φ(−x).
TR0N_HOST_DEVICE inline double upper_tail(double x) { return 0.5 * erfc(x * 0.70710678118654752440); }

/// One dimension's z = T(u): core/prior/standard_latent.h.
struct StandardCoordinate {
  enum class Kind : uint32_t { normal, truncated, uniform } kind;
  double centre, scale;  ///< mean and std; of uniforms the middle and half the width
  double bound;          ///< truncated: b
  double tail, mass;     ///< truncated: Φ(−b), 1 − 2Φ(−b)

  TR0N_HOST_DEVICE double latent(double u) const {
    if (kind == Kind::normal) return centre + scale * u;
    // By the tail on u's own side, which keeps its digits.
    const double outside = upper_tail(fabs(u));
    const double size = kind == Kind::uniform ? scale * (1 - 2 * outside)
                                              : scale * fmin(-normal_quantile(tail + mass * outside), bound);
    return centre + copysign(size, u);
  }

  TR0N_HOST_DEVICE double standard(double z) const {
    const double x = (z - centre) / scale;
    if (kind == Kind::normal) return x;
    const double outside = kind == Kind::uniform ? 0.5 * (1 - fabs(x)) : (upper_tail(fabs(x)) - tail) / mass;
    constexpr double least = 1e-7, beside_bound = 3;
    return copysign(outside < least ? beside_bound : -normal_quantile(fmin(outside, 0.5)), x);
  }

  /// dz/du.
  TR0N_HOST_DEVICE double slope(double u, double z) const {
    constexpr double density_at_0 = 0.39894228040143267794;
    if (kind == Kind::normal) return scale;
    if (kind == Kind::uniform) return 2 * scale * density_at_0 * exp(-0.5 * u * u);
    const double x = (z - centre) / scale;
    return scale * mass * exp(0.5 * (x * x - u * u));
  }
};

/// The coordinates of all d dimensions, in the memory of a device.
struct StandardView {
  size_t d = 0;
  const StandardCoordinate* coordinates = nullptr;  ///< [count]
  size_t count = 0;                                 ///< 1, for all dimensions, or d
  bool identity = false;                            ///< the prior is N(0, I)
  bool affine = false;                              ///< all dimensions are normal

  TR0N_HOST_DEVICE const StandardCoordinate& of(size_t j) const { return coordinates[count == 1 ? 0 : j]; }
};

/// z [n, d] = T(u). Moves 2·n·d.
struct FromStandard {
  StandardView standard;
  size_t n = 0;
  const float* u = nullptr;
  float* z = nullptr;
};

/// u [n, d] of z, and z moved to T(u) by the rounding between them. What lies on (or within 1e-7 of the mass
/// of) a bound, where u would be infinite, comes to |u| = 3. Moves 3·n·d.
struct ToStandard {
  StandardView standard;
  size_t n = 0;
  float *z = nullptr, *u = nullptr;
};

/// From E [n] and ∂E/∂z [n, d] at z = T(u): λ·E, + (w − 1)·Σ_bounded [U_p(z_j) − ½u_j²], into
/// target_energies [n], and in place its gradient in u, of which λ·∂E/∂u is clipped to the norm max_drift
/// (0 = off). λ is fidelity, w prior_weight. Norms and sums in double. Moves 4·n·d.
struct PullBack {
  StandardView standard;
  double fidelity = 0, prior_weight = 0, max_drift = 0;
  size_t n = 0;
  const float *u = nullptr, *z = nullptr, *energies = nullptr;
  float *target_energies = nullptr, *gradients = nullptr;
};

/// Standard coordinates of latents [n, d].
class StandardKernels {
 public:
  virtual ~StandardKernels() = default;
  virtual void from_standard(const FromStandard& a) const = 0;
  virtual void to_standard(const ToStandard& a) const = 0;
  virtual void pull_back(const PullBack& a) const = 0;
};

}  // namespace tr0n
