#pragma once
#include <cstddef>
#include <cstdint>

#include "base/rng.h"
#include "device/kernels/prior.h"

namespace tr0n {

enum class Activation { none, relu, tanh_bound };

/// What is added to a condition in training (method.md, "Condition noise").
enum class ConditionNoise { none, isotropic, adaptive, covariance };

/// How products of matrices are computed. tf32: factors rounded to 10 bits of mantissa for tensor cores, sums
/// in float32; a device without them computes in fp32.
enum class Precision { fp32, tf32 };

struct MatrixMode {
  Precision precision = Precision::fp32;
  /// A row's result is the same bits whatever other rows are in the call. Training, whose result depends on
  /// the whole batch anyway, does without: sums may then be split in a way that depends on n.
  bool rows_independent = true;
};

/// A linear layer's forward pass over n rows: y [n, out] = residual + act(x·weightᵀ + bias), overwritten,
/// from x [n, in], weight [out, in], bias [out]. `residual` [n, out] may be null. `activated` [n, out], where
/// given, gets act(…) before the residual is added; it must not be y. tanh_bound is bound·tanh(·).
struct LinearForward {
  size_t in = 0, out = 0;
  const float *x = nullptr, *weight = nullptr, *bias = nullptr;
  Activation activation = Activation::none;
  float bound = 0;
  const float* residual = nullptr;
  float *activated = nullptr, *y = nullptr;
};

/// A layer that an input's adjoint comes back through: dy [n, out], weight [out, in].
struct LinearAdjoint {
  size_t out = 0;
  const float *dy = nullptr, *weight = nullptr;
};

/// Where the adjoint of a common input [n, in] goes: dx = add + Σ_layers dy·weight, and masked = dx ⊙
/// [activated > 0] (through a relu). `add`, `dx` and `activated` with `masked` may be null; dx may be add.
struct LinearInput {
  size_t in = 0;
  const float* add = nullptr;
  float* dx = nullptr;
  const float* activated = nullptr;
  float* masked = nullptr;
};

/// A layer's gradients, overwritten: dweight [out, in] = dyᵀ·x, dbias [out] = Σ_rows dy.
struct LinearGradient {
  size_t in = 0, out = 0;
  const float *x = nullptr, *dy = nullptr;
  float *dweight = nullptr, *dbias = nullptr;
};

/// Parameters with Adam's moments of them, all [size].
struct AdamArrays {
  float *parameters = nullptr, *m = nullptr, *v = nullptr;
};

/// A layer whose update is made from x [n, in] and dy [n, out] directly.
struct LinearUpdate {
  size_t in = 0, out = 0;
  const float *x = nullptr, *dy = nullptr;
  AdamArrays weight, bias;  ///< [out, in], [out]
};

/// Parameters outside of layers, with their gradient [size].
struct VectorUpdate {
  size_t size = 0;
  const float* gradient = nullptr;
  AdamArrays arrays;
};

/// A batch of mixtures in a device's memory: q_i(z) = Σ_k π_ik N(z; μ_ik, diag σ²), π_i = softmax(logits_i),
/// σ = exp(s) + 1e-6.
struct MixtureView {
  size_t n = 0, components = 0, latent = 0;
  const float* logits = nullptr;    ///< [n, K]
  const float* means = nullptr;     ///< [n, K, d]
  const float* log_stds = nullptr;  ///< s [d], or [K, d]
  bool component_stds = false;      ///< each component has its own: log_stds [K, d]
};

/// Adam's constants of one step (Kingma & Ba 2015, as torch.optim.Adam without weight decay): eps stands
/// outside the square root of the bias-corrected second moment.
struct AdamStep {
  double learning_rate = 1e-3;
  float beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f;
  uint64_t step = 0;  ///< from 0
  double clip = 0;    ///< norm that gradients are clipped to; 0 = off
};

/// What training steps leave behind, in the device's memory, so that the host need not wait for every step.
struct StepTotals {
  double loss_sum = 0;                 ///< of the steps since the host last looked
  double loss = 0, gradient_norm = 0;  ///< of the last step, before clipping; of the one that stopped
  uint64_t steps = 0;                  ///< made since the host last looked
  uint64_t stopped = 0;  ///< 1: a loss or norm was not finite. That step and all after it change nothing
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

  // ---- linear layers. A call takes a group of layers over the same n rows: one launch on a GPU.

  /// Every layer of the group; none reads what another one of it writes. Moves, per layer, n·in + in·out +
  /// out
  /// + (1 to 3)·n·out.
  virtual void linear_forward(const MatrixMode& mode, size_t n, const LinearForward* layers,
                              size_t count) const = 0;

  /// The adjoint of the group's common input. Moves Σ (n·out + out·in) + (1 to 4)·n·in.
  virtual void linear_backward_input(const MatrixMode& mode, size_t n, const LinearAdjoint* layers,
                                     size_t count, const LinearInput& input) const = 0;

  /// Gradients of every layer's weight and bias; sums over the rows have a fixed order. Moves, per layer,
  /// n·in
  /// + n·out + out·in + out.
  virtual void linear_backward_weight(const MatrixMode& mode, size_t n, const LinearGradient* layers,
                                      size_t count) const = 0;

  // ---- losses

  /// nll_i = −log q_i(z_i) in double, and the gradients of scale·Σ_i nll_i, in one pass (log-sum-exp over
  /// components): with γ = softmax_k(log π_k + log N_k) and u = (z − μ)/σ,
  ///   d_logits [n, K] = scale·(π − γ),  d_means [n, K, d] = −scale·γ_k·u/σ,
  ///   d_log_stds [d] = scale·Σ_i (1 − Σ_k γ_k u²)·e^s/(e^s + 1e-6), over the rows in a fixed order; where
  /// every component has its own, d_log_stds [K, d] = scale·Σ_i γ_k (1 − u²)·e^s/(e^s + 1e-6).
  /// Where `bound` > 0 the means are bound·tanh(u), and d_means are the gradients of u: times bound −
  /// μ²/bound. All overwritten. `rows`, [n, d] or [n, K, d] as d_log_stds, is workspace. The three gradients
  /// and `rows` may be null together. Never NaN for finite input. Moves 2·n·K·d + 2·n·K + 3·n·d.
  virtual void mixture_nll(const MixtureView& q, const float* z, float scale, float bound, double* nll,
                           float* d_logits, float* d_means, float* d_log_stds, float* rows) const = 0;

  /// error_i = Σ_j (prediction − target)²/size, and gradient = 2·scale·(prediction − target)/size,
  /// overwritten; may be null. Where `bound` > 0 the predictions are bound·tanh(u), and the gradient is that
  /// of u: times bound − prediction²/bound. prediction, target, gradient [n, size]. Moves 3·n·size.
  virtual void squared_error(size_t n, size_t size, const float* prediction, const float* target, float scale,
                             float bound, double* error, float* gradient) const = 0;

  /// *out = x_factor·Σ x [n] + y_factor·Σ y [n], summed in a fixed order; y may be null.
  virtual void weighted_sum(size_t n, const double* x, double x_factor, const double* y, double y_factor,
                            double* out) const = 0;

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

  // ---- optimiser. `step` and `totals` are in the device's memory.

  /// One step of clipping and Adam from materialised gradients: the norm ‖gradients‖₂ in double by partial
  /// sums of a fixed order; *loss and the norm taken into totals, or totals->stopped set where either is not
  /// finite; then, unless stopped, Adam in place on `arrays` [count], the gradients multiplied by
  /// clip_coefficient(norm, clip) on the way. Moves 8·count, 7 where gradients stay in a cache.
  virtual void optimise(const AdamStep* step, size_t count, const float* gradients, const AdamArrays& arrays,
                        const double* loss, StepTotals* totals) const = 0;

  /// The same step without materialised gradients of layers: the norm from the Gram matrices, ‖dyᵀx‖²_F =
  /// Σ_ij (dy·dyᵀ)_ij (x·xᵀ)_ij, and gradients computed where they are used. `vectors` may be null with 0.
  /// Moves, per layer, 2·n·(in + out) + 6·in·out: worth it for small n.
  virtual void optimise_linear(const MatrixMode& mode, const AdamStep* step, size_t n,
                               const LinearUpdate* layers, size_t count, const VectorUpdate* vectors,
                               size_t vector_count, const double* loss, StepTotals* totals) const = 0;

  /// The largest n for which optimise_linear is the faster of the two.
  virtual size_t fused_update_rows() const = 0;

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
  /// finite; gradients = fidelity·∇E + prior_weight·∇(−log p), in place. `targets` may be null. Moves 3·n·d.
  virtual void target_gradient(const Prior& prior, double fidelity, double prior_weight, size_t n,
                               const float* z, const float* energies, double* targets,
                               float* gradients) const = 0;

  /// z' = z − h·D + √(2h)·ξ with h = exp(log_step) per chain, ξ by Purpose::proposal. Moves 3·n·d.
  virtual void mala_propose(size_t n, size_t d, const MalaState* states, const Chain* chains, uint32_t step,
                            const Philox& rng, const float* z, const float* drift, float* proposal) const = 0;

  /// Accepts with a = min(1, exp(U(z) − U(z') + [‖z' − z + hD(z)‖² − ‖z − z' + hD(z')‖²]/4h)): proposal, its
  /// drift, its U and the objective's energy replace the current ones. NaN or +infinity rejects. Then, where
  /// `adapt` > 0, log h += adapt·(a − target_accept − ⅓·log(−log a / 4)), the logarithm where it is above 0
  /// and up to log 1e6: a alone does not tell how far off a step size is, and log a of steps that are far too
  /// long grows at least as h³ does. Nothing of it where U is infinite. Uniform by Purpose::accept. Moves 4
  /// to 6·n·d.
  virtual void mala_accept(size_t n, size_t d, const Chain* chains, uint32_t step, const Philox& rng,
                           double adapt, double target_accept, const float* proposal,
                           const float* proposal_drift, const float* proposal_energies,
                           const double* proposal_targets, MalaState* states, float* z, float* drift,
                           float* energies) const = 0;

  /// Momentum SGD with noise: g clipped per chain (clip_coefficient), b ← momentum·b + g (b ← g where
  /// `first`), z ← z − learning_rate·b + noise·ε, then clamped to ±bound (0 = off). ε by
  /// Purpose::langevin_noise, from Philox block `first_block` on: groups of a chain's dimensions that move in
  /// calls of their own share no numbers. Moves 5·n·d.
  virtual void langevin_update(size_t n, size_t d, const Chain* chains, uint32_t step, uint32_t first_block,
                               const Philox& rng, bool first, float learning_rate, float momentum,
                               float noise, double clip, float bound, const float* gradients, float* momenta,
                               float* z) const = 0;

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
