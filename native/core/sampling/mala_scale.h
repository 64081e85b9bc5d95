#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>

namespace tr0n {

/// Scales of MALA in standard coordinates (core/prior/standard_latent.h) where nothing better is known.

/// A step size for d dimensions at fidelity λ. Of N(0, I) alone steps are accepted with probability 0.57 at
/// ε = 1.65·d^(−1/6), h = ½ε² = 1.36·d^(−1/3) (Roberts & Rosenthal 1998); a likelihood whose log has a
/// curvature of order 1 allows about 1/λ. Their harmonic sum is within a factor of 2 of the step size at 0.57
/// with random networks of 2 to 4,096 dimensions and λ of 1 and 10.
inline double default_step_size(size_t d, double fidelity) {
  return 1 / (std::cbrt(static_cast<double>(d)) / 1.36 + fidelity);
}

/// What the likelihood's part of the drift is clipped to: it grows as the norm of the noise does, and the
/// paper-sized latents (d ≤ 64) have 10.
inline double default_max_drift(size_t d) { return std::max(10.0, 1.25 * std::sqrt(static_cast<double>(d))); }

}  // namespace tr0n
