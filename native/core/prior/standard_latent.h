#pragma once
#include <cstddef>

#include "device/buffer.h"
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
/// Its sums are of a chain's dimensions alone, in double. Everything is in the device's memory.
class StandardLatent {
 public:
  StandardLatent(Device& device, const Prior& prior);

  /// As the kernels of device/kernels/standard.h.
  void from_standard(size_t n, const float* u, float* z) const;
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
  const StandardKernels& kernels_;
  Mirror<StandardCoordinate> coordinates_;  ///< one, or [d]
  StandardView view_;
};

}  // namespace tr0n
