#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/cancel.h"
#include "core/objective.h"
#include "core/translator/auxiliary_place.h"
#include "core/translator/translator.h"
#include "device/kernels/prior.h"

namespace tr0n {

/// Where chains start.
enum class Start {
  resample,    ///< importance resampling over candidates (method.md, "Recommended sampler", 1 and 2)
  translator,  ///< one draw of q(z|c)
  mode,        ///< the mean of q's heaviest component
  prior,       ///< one draw of p(z): the naive start
};

/// What moves them.
enum class Kernel {
  none,
  mala,      ///< method.md "Recommended sampler", 3
  langevin,  ///< momentum SGD with noise on one latent a chain; target energy as given
  hybrid,    ///< the official sampler: means [K, d] by momentum SGLD, soft mixture weights by Adam. Starts at
             ///< all means of q(z|c); with Start::prior at one draw of p(z)
};

/// Whether MALA's step sizes adapt to the accept probability: `chain`: log h moves towards the target at the
/// rate (i + 1)^−0.6 (MalaAccept) for each chain while it samples, which is not strictly invariant;
/// `pilot`: likewise in a run of chains of their own before, whose mean log h a condition's chains then keep.
enum class Adapt { none, chain, pilot };

/// How dimensions of a latent move under Kernel::langevin and hybrid.
enum class Rule {
  sgld,  ///< momentum SGD
  adam,  ///< Adam (0.9, 0.999, 1e-8); of sgld's numbers `momentum` plays no part
  fixed  ///< not at all
};

/// So many dimensions of a latent with their rule. Gradients are clipped per chain and group. Under
/// Kernel::hybrid none may have both of an auxiliary head's y and of z.
struct UpdateGroup {
  size_t size = 0;
  Rule rule = Rule::sgld;
  double learning_rate = 0.1;  ///< η
  double momentum = 0.99;
  double noise = 0.01;  ///< σ
  double clip = 1.0;    ///< gradient norm; 0 = off
  double bound = 0.0;   ///< clamp to ±bound after each step; 0 = off
};

struct SamplerConfig {
  Start start = Start::resample;
  Kernel kernel = Kernel::mala;
  size_t steps = 4;   ///< T, in each round
  size_t rounds = 1;  ///< Start::resample with mala or none: from the second on the state is a candidate

  double fidelity = 1.0;  ///< λ: weight of the objective's energy in the target
  double prior_weight =
      1.0;  ///< weight of −log p(z) in the target (resample, mala) or in the drift (langevin, hybrid)

  // Start::resample
  size_t candidates = 16;       ///< M
  size_t max_candidates = 256;  ///< doubling stops here
  double prior_fraction = 0.1;  ///< α
  double min_ess = 4.0;  ///< doubles M where the mean ESS of the condition's pilot chains is below; 0 = never
  size_t pilot_chains = 4;  ///< sample indices 0…3 of the stream decide M, whatever the call's count is

  // Kernel::mala
  static constexpr double kAuto = -1;
  double step_size =
      kAuto;  ///< h₀ in standard coordinates (core/prior/standard_latent.h); auto: core/sampling/mala_scale.h
  double target_accept = 0.57;
  /// Norm that the likelihood's part of the drift in standard coordinates is clipped to; 0 = off; auto:
  /// core/sampling/mala_scale.h.
  double max_drift = kAuto;
  Adapt adapt = Adapt::chain;
  size_t pilot_steps = 50;  ///< Adapt::pilot: of each of `pilot_chains` chains

  // Kernel::langevin, Kernel::hybrid
  std::vector<UpdateGroup> groups;  ///< of the dimensions in their order; none: one group as UpdateGroup is
  double weight_learning_rate = 5e-3;  ///< hybrid: Adam on the mixture weights' logits

  uint64_t seed = 0;
};

/// B conditions, `count` chains each. Chain (b, i) has the random stream (streams[b], first + i).
struct SampleRequest {
  const float* conditions = nullptr;  ///< [B, m]
  /// [B, m], what the translator is fed with where that is not what the objective takes; null: `conditions`.
  const float* translator_conditions = nullptr;
  size_t condition_count = 0;  ///< B
  /// y of the translator's auxiliary head in the objective's latent; its size is the head's.
  size_t auxiliary_begin = 0;
  /// s [auxiliary], above 0: candidates have y ~ N(ŷ(c), diag s²). Needed at Start::resample. Chains of other
  /// starts of the translator begin at ŷ(c) itself.
  const float* auxiliary_stds = nullptr;
  const uint32_t* streams = nullptr;  ///< [B]
  size_t count = 1;
  uint32_t first = 0;
  const float* starts = nullptr;  ///< [B·count, d], finite: stand in for draws of the prior at Start::prior
  Device* device =
      nullptr;  ///< where to compute without a translator, whose device it is otherwise; null: the CPU
};

struct SampleProgress {
  size_t step = 0, steps = 0;       ///< step 0: the start is ready; all rounds together
  const float* energies = nullptr;  ///< [B·count], the objective's energy (without λ and prior) at latents
  const float* latents = nullptr;   ///< [B·count, d]
  size_t chains = 0;
};

struct SampleResult {
  std::vector<float> latents;   ///< [B·count, d]
  std::vector<float> energies;  ///< [B·count], the objective's energy at the latents
  std::vector<float>
      ess;  ///< [B], mean effective sample size of the first round's final candidates; NaN without resampling
  std::vector<uint32_t> candidates;  ///< [B], M in the end; 0 without resampling
  std::vector<float> acceptance;     ///< [B], mean accept probability; NaN without MALA
  std::vector<float> step_sizes;     ///< [B], geometric mean of MALA's h in the end; NaN without MALA
  std::vector<float> trace;          ///< [steps + 1, B], mean energy of a condition's chains at every report
  uint64_t forwards = 0, gradients = 0;  ///< evaluations of f∘G and of its gradient, rows
};

/// Runs all chains. MALA's proposals and resampling's
/// candidates that lie outside the prior's support (MALA makes none) or have no finite energy are never
/// taken. `progress` (may be empty) is called on this thread after the start and after every step.
/// `translator` may be null when the start is the prior. Throws ERR_DIVERGED, naming the step and chain and
/// with the energies so far (Error::trace), when an energy or a latent is not finite, ERR_ABORTED when
/// cancelled.
SampleResult sample(Objective& objective, const Translator* translator, const Prior& prior,
                    const SamplerConfig& config, const SampleRequest& request, CancelToken& cancel,
                    const std::function<void(const SampleProgress&)>& progress);

/// n latents of the prior, chains (stream, first … first + n − 1), step 0.
void draw_prior(const Prior& prior, uint64_t seed, uint32_t stream, uint32_t first, size_t n, Purpose purpose,
                float* z);

}  // namespace tr0n
