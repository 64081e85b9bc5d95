#pragma once
#include <cstddef>
#include <vector>

#include "device/kernels/prior.h"

namespace tr0n {

/// Standard coordinates u of a latent: z = T(u), one dimension at a time, such that u ~ N(0, I) where z is of
/// the prior:
///   normal      z = mean + std·u
///   truncated   z = mean + std·Φ⁻¹(Φ(−b) + (1 − 2Φ(−b))·Φ(u)), b the bound in deviations
///   uniform     z = low + (high − low)·Φ(u)
/// MALA runs in u. With one scale for all dimensions and priors its step size needs to know of nothing but
/// the number of dimensions and the likelihood; a proposal cannot leave a bounded support (of d uniform
/// dimensions a step that is tried in z stays inside only where √h is about 1/d); and the prior's part of the
/// drift is that of N(0, I). For normals this is preconditioning by the prior's variances. The target in u is
///   U(u) = λ·E(T(u)) + w·½‖u‖² + (w − 1)·Σ_bounded [U_p(z_j) − ½u_j²],
/// w the prior's weight and U_p = −log p without its constant: where w is 1, the prior's in u.
///
/// Its sums are of a chain's dimensions alone, in double. Everything is in the host's memory, where the
/// models take latents and leave gradients.
class StandardLatent {
 public:
  explicit StandardLatent(const Prior& prior);

  /// z [n, d] = T(u).
  void from_standard(size_t n, const float* u, float* z) const;
  /// u [n, d] of z, and z moved to T(u) by the rounding between them. What lies on (or within 1e-7 of the
  /// mass of) a bound, where u would be infinite, comes to |u| = 3.
  void to_standard(size_t n, float* z, float* u) const;

  struct Weights {
    double fidelity, prior;  ///< λ, w
    double max_drift;        ///< norm that the likelihood's part is clipped to; 0 = off
  };
  /// From E [n] and ∂E/∂z [n, d] at z = T(u): the part of U that is not w·½‖u‖² [n], and in place its
  /// gradient in u, of which λ·∂E/∂u is clipped.
  void pull_back(const Weights& weights, size_t n, const float* u, const float* z, const float* energies,
                 float* target_energies, float* gradients) const;

 private:
  /// One dimension's T.
  struct Coordinate {
    enum class Kind { normal, truncated, uniform } kind;
    double centre, scale;  ///< mean and std; of uniforms the middle and half the width
    double bound;          ///< truncated: b
    double tail, mass;     ///< truncated: Φ(−b), 1 − 2Φ(−b)

    double latent(double u) const;
    double standard(double z) const;
    double slope(double u, double z) const;  ///< dz/du
  };
  const Coordinate& of(size_t j) const { return coordinates_[coordinates_.size() == 1 ? 0 : j]; }
  size_t cost() const;  ///< of a row, for the thread pool

  size_t d_;
  bool identity_;                        ///< the prior is N(0, I)
  bool affine_;                          ///< all dimensions are normal
  std::vector<Coordinate> coordinates_;  ///< one, or [d]
};

}  // namespace tr0n
