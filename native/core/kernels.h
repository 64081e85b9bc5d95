#pragma once
#include <cstddef>
#include <cstdint>

#include "core/prior.h"
#include "core/rng.h"

namespace tr0n {

enum class Activation { none, relu, tanh_bound };

/// What is added to a condition in training (method.md, "Condition noise").
enum class ConditionNoise { none, isotropic, adaptive, covariance };

/// A linear layer over n rows: x [n, in], weight [out, in], bias [out], y [n, out].
struct LinearShape {
  size_t n = 0, in = 0, out = 0;
};

/// A batch of mixtures in a device's memory: q_i(z) = Σ_k π_ik N(z; μ_ik, diag σ²), π_i = softmax(logits_i),
/// σ = exp(s) + 1e-6.
struct MixtureView {
  size_t n = 0, components = 0, latent = 0;
  const float* logits = nullptr;    ///< [n, K]
  const float* means = nullptr;     ///< [n, K, d]
  const float* log_stds = nullptr;  ///< s [d]
};

/// Adam's constants of one step (Kingma & Ba 2015, as torch.optim.Adam without weight decay): eps stands
/// outside the square root of the bias-corrected second moment.
struct AdamStep {
  double learning_rate = 1e-3;
  float beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f;
  uint64_t step = 0;  ///< from 0
  double clip = 0;    ///< norm that gradients are clipped to; 0 = off
};

/// What is carried from one candidate of a chain to the next, so that any number of candidates is seen in one
/// pass and more can be added later.
struct ResampleState {
  double best_score, best_energy;  ///< of the largest ℓ + Gumbel so far; -infinity before the first
  double largest, sum, square_sum;  ///< max ℓ, Σ exp(ℓ - max), Σ exp(2(ℓ - max)): ESS = sum² / square_sum
};

/// One chain's Metropolis-adjusted Langevin bookkeeping.
struct MalaState {
  double energy;      ///< U at the current point: λE + prior_weight·(−log p)
  double log_step;    ///< log h
  double acceptance;  ///< Σ accept probabilities
};

/// The coefficient of torch.nn.utils.clip_grad_norm_: gradients are multiplied by it.
inline double clip_coefficient(double norm, double clip) {
  if (clip <= 0) return 1;
  const double coefficient = clip / (norm + 1e-6);
  return coefficient < 1 ? coefficient : 1;
}

/// Every numeric kernel, declared once; a device implements all of them. Pointers are memory of that device,
/// arrays are dense and row-major, float32 unless said otherwise. Kernels of one device run in the order of
/// the calls and may return before they have finished (Device::download waits). None allocates device memory.
///
/// Two promises that an implementation keeps bit for bit:
/// 1. a row of an output depends on that row's inputs alone: not on other rows, nor on how many there are;
/// 2. a sum over the batch has one fixed order, whatever the number of threads.
/// "Moves" counts the floats read and written at least once, the traffic of a perfect cache.
class Kernels {
 public:
  virtual ~Kernels() = default;

  // ---- linear layers

  /// y = residual + act(x·weightᵀ + bias), y overwritten. `residual` [n, out] may be null. `activated` [n,
  /// out], where given, gets act(…) before the residual is added (what activation_backward needs); it must
  /// not be y. tanh_bound is bound·tanh(·). Moves n·in + in·out + out + (1 to 3)·n·out.
  virtual void linear_forward(const LinearShape& shape, const float* x, const float* weight,
                              const float* bias, Activation activation, float bound, const float* residual,
                              float* activated, float* y) const = 0;

  /// dx = dy ⊙ act'(u), from activated = act(u): relu' = [activated > 0], tanh_bound' = bound −
  /// activated²/bound. dx overwritten, may be dy. Moves 3·count.
  virtual void activation_backward(size_t count, Activation activation, float bound, const float* activated,
                                   const float* dy, float* dx) const = 0;

  /// dx [n, in] = dy·weight, overwritten, or added to where `accumulate`. Moves n·out + out·in + (1 or
  /// 2)·n·in.
  virtual void linear_backward_input(const LinearShape& shape, const float* dy, const float* weight,
                                     float* dx, bool accumulate) const = 0;

  /// dweight [out, in] = dyᵀ·x and dbias [out] = Σ_rows dy, both overwritten; each sum runs over the rows in
  /// their order. Moves n·in + n·out + out·in + out.
  virtual void linear_backward_weight(const LinearShape& shape, const float* x, const float* dy,
                                      float* dweight, float* dbias) const = 0;

  // ---- losses

  /// nll_i = −log q_i(z_i) in double, and the gradients of scale·Σ_i nll_i, in one pass (log-sum-exp over
  /// components): with γ = softmax_k(log π_k + log N_k) and u = (z − μ)/σ,
  ///   d_logits [n, K] = scale·(π − γ),  d_means [n, K, d] = −scale·γ_k·u/σ,
  ///   d_log_stds [d] = scale·Σ_i (1 − Σ_k γ_k u²)·e^s/(e^s + 1e-6), over the rows in their order.
  /// All overwritten. `rows` [n, d] is workspace. The three gradients and `rows` may be null together. Never
  /// NaN for finite input. Moves 2·n·K·d + 2·n·K + 3·n·d.
  virtual void mixture_nll(const MixtureView& q, const float* z, float scale, double* nll, float* d_logits,
                           float* d_means, float* d_log_stds, float* rows) const = 0;

  /// error_i = Σ_j (prediction − target)²/size, and gradient = 2·scale·(prediction − target)/size,
  /// overwritten; may be null. prediction, target, gradient [n, size]. Moves 3·n·size.
  virtual void squared_error(size_t n, size_t size, const float* prediction, const float* target, float scale,
                             double* error, float* gradient) const = 0;

  /// *out = factor·Σ x [n] in order, or added to *out where `accumulate`.
  virtual void sum(size_t n, const double* x, double factor, bool accumulate, double* out) const = 0;

  // ---- mixtures

  /// z_i ~ q_row(i): component by inverse CDF of one uniform (Purpose `choice`), then μ_k + σ ⊙ ε (Purpose
  /// `normal`). rows [n] indices into q, chains [n]. Moves n·(K + 2d).
  virtual void mixture_draw(const MixtureView& q, const uint32_t* rows, const Chain* chains, size_t n,
                            uint32_t step, Purpose choice, Purpose normal, const Philox& rng,
                            float* z) const = 0;

  /// out_i = log q_row(i)(z_i) in double. rows may be null: row i. Moves n·(K·d + K + d).
  virtual void mixture_log_density(const MixtureView& q, const uint32_t* rows, const float* z, size_t n,
                                   double* out) const = 0;

  // ---- conditions

  /// out = c + noise, [n, m]; out may be c. isotropic: scale·ε. adaptive: ε rescaled to the norm scale·‖c‖.
  /// covariance: L·ε with `factor` L [m, m] lower triangular. ε by Purpose::condition_noise, `workspace` [n,
  /// m]. Moves 2·n·m.
  virtual void condition_noise(ConditionNoise kind, float scale, const float* factor, size_t n, size_t m,
                               const Chain* chains, uint32_t step, const Philox& rng, const float* c,
                               float* workspace, float* out) const = 0;

  /// out_i = one-hot(y), y ~ Categorical(c_i / Σ c_i) by inverse CDF of one uniform (Purpose::label);
  /// negative entries count as zero. out may be c. Moves 2·n·m.
  virtual void sample_labels(size_t n, size_t m, const Chain* chains, uint32_t step, const Philox& rng,
                             const float* c, float* out) const = 0;

  // ---- optimiser

  /// *norm = ‖x‖₂ in double; partial sums over fixed blocks, added in order. Moves count.
  virtual void global_norm(const float* x, size_t count, double* norm) const = 0;

  /// One Adam step in place on parameters, m, v [count]; gradients are multiplied by clip_coefficient(*norm,
  /// clip) on the way. Moves 7·count.
  virtual void adam(const AdamStep& adam, size_t count, const double* norm, const float* gradients, float* m,
                    float* v, float* parameters) const = 0;

  /// Adam on n independent rows [n, size], each with its own gradient norm, clipped per row. Moves 7·n·size.
  virtual void adam_rows(const AdamStep& adam, size_t n, size_t size, const float* gradients, float* m,
                         float* v, float* x) const = 0;

  // ---- resampling

  /// Candidates of q' = (1−α)·q + α·p: z_i is candidate steps[i] of chain chains[i] under mixture rows[i].
  /// From the prior where the uniform of Purpose::candidate_choice is below α (drawn by candidate_prior),
  /// else from q (candidate_component, candidate_normal). A function of (chain, steps[i]) alone. Moves n·(K +
  /// 2d).
  virtual void draw_candidates(const MixtureView& q, const Prior& prior, double alpha, const uint32_t* rows,
                               const Chain* chains, const uint32_t* steps, size_t n, const Philox& rng,
                               float* z) const = 0;

  /// ℓ_i = prior_weight·log p(z_i) − fidelity·E_i − log q'(z_i) in double; −infinity where E_i is not finite
  /// or z_i lies outside the prior's support. Moves n·(K·d + K + d).
  virtual void importance_weights(const MixtureView& q, const Prior& prior, double alpha, double fidelity,
                                  double prior_weight, const uint32_t* rows, size_t n, const float* z,
                                  const float* energies, double* log_weights) const = 0;

  /// Gumbel arg-max over candidates: for each of n chains, its `count` consecutive candidates (numbers
  /// first_step …) in z [n·count, d], energies and log_weights [n·count] are taken into `states` [n] and the
  /// winner so far into best [n, d]. Gumbel noise by (chain, Purpose::resample, element = candidate number).
  /// Moves n·count + n·d.
  virtual void resample(size_t n, size_t count, size_t d, const Chain* chains, uint32_t first_step,
                        const Philox& rng, const float* z, const float* energies, const double* log_weights,
                        ResampleState* states, float* best) const = 0;

  // ---- gradient steps; n chains, z [n, d]

  /// Turns the objective's E [n] and gradient [n, d] into the target's: targets_i = fidelity·E +
  /// prior_weight· (−log p(z) without its constant), +infinity outside the prior's support or where it is not
  /// finite; gradients = fidelity·∇E + prior_weight·∇(−log p), in place, then each row scaled to norm ≤
  /// max_norm (0 = off). `targets` may be null. Moves 3·n·d.
  virtual void target_gradient(const Prior& prior, double fidelity, double prior_weight, double max_norm,
                               size_t n, const float* z, const float* energies, double* targets,
                               float* gradients) const = 0;

  /// z' = z − h·D + √(2h)·ξ with h = exp(log_step) per chain, ξ by Purpose::proposal. Moves 3·n·d.
  virtual void mala_propose(size_t n, size_t d, const MalaState* states, const Chain* chains, uint32_t step,
                            const Philox& rng, const float* z, const float* drift, float* proposal) const = 0;

  /// Accepts with a = min(1, exp(U(z) − U(z') + [‖z' − z + hD(z)‖² − ‖z − z' + hD(z')‖²]/4h)): proposal, its
  /// drift, its U and the objective's energy replace the current ones. NaN or +infinity rejects. Then, where
  /// `adapt` > 0, log h += adapt·(a − target_accept). Uniform by Purpose::accept. Moves 4 to 6·n·d.
  virtual void mala_accept(size_t n, size_t d, const Chain* chains, uint32_t step, const Philox& rng,
                           double adapt, double target_accept, const float* proposal,
                           const float* proposal_drift, const float* proposal_energies,
                           const double* proposal_targets, MalaState* states, float* z, float* drift,
                           float* energies) const = 0;

  /// Momentum SGD with noise: g clipped per chain (clip_coefficient), b ← momentum·b + g (b ← g where
  /// `first`), z ← z − learning_rate·b + noise·ε, then clamped to ±bound (0 = off). ε by
  /// Purpose::langevin_noise. Moves 5·n·d.
  virtual void langevin_update(size_t n, size_t d, const Chain* chains, uint32_t step, const Philox& rng,
                               bool first, float learning_rate, float momentum, float noise, double clip,
                               float bound, const float* gradients, float* momenta, float* z) const = 0;

  /// The hybrid sampler's latent: z [n, d] = Σ_k π_k ⊙ μ_k, π = softmax over k of weights [n, K, d], means
  /// [n, K, d]. Moves 2·n·K·d + n·d.
  virtual void hybrid_combine(size_t n, size_t components, size_t d, const float* means, const float* weights,
                              float* z) const = 0;

  /// Through hybrid_combine: d_means = π_k ⊙ g, d_weights = π_k ⊙ (μ_k − z) ⊙ g, both [n, K, d], overwritten.
  /// Moves 4·n·K·d + 2·n·d.
  virtual void hybrid_gradients(size_t n, size_t components, size_t d, const float* means,
                                const float* weights, const float* z, const float* gradients, float* d_means,
                                float* d_weights) const = 0;
};

}  // namespace tr0n
