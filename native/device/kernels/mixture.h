#pragma once
#include <cstddef>
#include <cstdint>

#include "base/rng.h"

namespace tr0n {

/// A batch of mixtures in a device's memory: q_i(z) = Σ_k π_ik N(z; μ_ik, diag σ²), π_i = softmax(logits_i),
/// σ = exp(s) + 1e-6.
struct MixtureView {
  size_t n = 0, components = 0, latent = 0;
  const float* logits = nullptr;    ///< [n, K]
  const float* means = nullptr;     ///< [n, K, d]
  const float* log_stds = nullptr;  ///< s [d], or [K, d]
  bool component_stds = false;      ///< each component has its own: log_stds [K, d]
};

/// nll_i = −log q_i(z_i) in double, and the gradients of scale·Σ_i nll_i, in one pass (log-sum-exp over
/// components): with γ = softmax_k(log π_k + log N_k) and u = (z − μ)/σ,
///   d_logits [n, K] = scale·(π − γ),  d_means [n, K, d] = −scale·γ_k·u/σ,
///   d_log_stds [d] = scale·Σ_i (1 − Σ_k γ_k u²)·e^s/(e^s + 1e-6), over the rows in a fixed order; where
/// every component has its own, d_log_stds [K, d] = scale·Σ_i γ_k (1 − u²)·e^s/(e^s + 1e-6).
/// Where `bound` > 0 the means are bound·tanh(u), and d_means are the gradients of u: times bound − μ²/bound.
/// All overwritten. z [n, d], nll [n]; `rows`, [n, d] or [n, K, d] as d_log_stds, is workspace. The three
/// gradients and `rows` may be null together. Never NaN for finite input. Moves 2·n·K·d + 2·n·K + 3·n·d.
struct MixtureNll {
  MixtureView q;
  const float* z = nullptr;
  float scale = 0, bound = 0;
  double* nll = nullptr;
  float *d_logits = nullptr, *d_means = nullptr, *d_log_stds = nullptr, *rows = nullptr;
};

/// z_i ~ q_row(i): component by inverse CDF of one uniform (Purpose `choice`), then μ_k + σ ⊙ ε (Purpose
/// `normal`). rows [n] indices into q, chains [n]. z [n, d]. Moves n·(K + 2d).
struct MixtureDraw {
  MixtureView q;
  const uint32_t* rows = nullptr;
  const Chain* chains = nullptr;
  size_t n = 0;
  uint32_t step = 0;
  Purpose choice = Purpose::component, normal = Purpose::component_normal;
  Philox rng;
  float* z = nullptr;
};

/// out_i = log q_row(i)(z_i) in double. rows may be null: row i. rows [n] indices into q, z [n, d], out [n].
/// Moves n·(K·d + K + d).
struct MixtureLogDensity {
  MixtureView q;
  const uint32_t* rows = nullptr;
  const float* z = nullptr;
  size_t n = 0;
  double* out = nullptr;
};

/// Mixtures of Gaussians with diagonal covariance.
class MixtureKernels {
 public:
  virtual ~MixtureKernels() = default;
  virtual void nll(const MixtureNll& a) const = 0;
  virtual void draw(const MixtureDraw& a) const = 0;
  virtual void log_density(const MixtureLogDensity& a) const = 0;
};

}  // namespace tr0n
