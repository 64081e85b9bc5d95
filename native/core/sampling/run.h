#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "core/prior/prior_elements.h"
#include "core/prior/standard_latent.h"
#include "core/sampling/conditioned_objective.h"
#include "core/sampling/sampler.h"
#include "core/translator/condition_mixture.h"
#include "device/buffer.h"

namespace tr0n {

/// What the phases of one sample() call share: the chains, where they are, and how the objective is asked.
/// Chain i belongs to condition i / count.
class SamplerRun {
 public:
  SamplerRun(Objective& run_objective, const Translator* run_translator, const Prior& run_prior,
             const SamplerConfig& run_config, const SampleRequest& run_request, CancelToken& run_cancel,
             const std::function<void(const SampleProgress&)>& run_progress);

  Objective& objective;
  const Translator* const translator;
  const Prior& prior;
  const SamplerConfig& config;
  const SampleRequest& request;
  CancelToken& cancel;
  const Transition kernel;  ///< none where there are no steps
  Device& device;
  const Kernels& kernels;
  const Philox rng;
  const size_t n, d;               ///< chains, latent size
  const AuxiliaryPlace auxiliary;  ///< of the translator's head; size 0 without one
  const size_t rows_per_call;      ///< at most so many rows go into one call of the objective: bounds memory
  const DevicePrior device_prior;  ///< `prior` for the kernels

  Mirror<Chain> chains;         ///< [n]
  Mirror<uint32_t> conditions;  ///< [n], row of request.conditions
  Mirror<float> z;              ///< [n, d], where the chains are; the device's copy is current between phases
  Mirror<float> energies;       ///< [n], the objective's at z; likewise, the host's after observe()
  SampleResult result;

  /// q(z|c) of the request's conditions, computed at the first call.
  const ConditionMixture& mixture();

  /// All chains, at `latents` [n, d] in the device's memory.
  ObjectiveRows all(const float* latents) const {
    return {latents, conditions.device(), conditions.host(), chains.host(), n};
  }

  /// The draw of an energy's random numbers that every chain keeps for the whole run. What compares or weighs
  /// energies of one chain needs it: candidates, both ends of a proposal, the results.
  static constexpr uint32_t kKeptDraw = 0;

  /// The objective's energies [count], in calls of bounded size, with draw number `draw` of its random
  /// numbers. What is read and written lies in the device's memory.
  void energy(const ObjectiveRows& rows, float* out, uint32_t draw = kKeptDraw);
  /// As energy(), and ∂E/∂z [count, d].
  void evaluate(const ObjectiveRows& rows, float* out, float* gradients, uint32_t draw = kKeptDraw);

  /// Has the device look at the latents after step `step`. What it finds is known, and thrown, at the next
  /// observe(); at once where the host shares its memory.
  void check_latents(size_t step);
  /// Waits for the device and brings the energies to the host: a number a chain, and one for what
  /// check_latents() has found.
  void observe();
  /// Throw ERR_DIVERGED naming the first chain for which something of it is not finite: of its energy, as
  /// observed, or of `size` numbers of it in the device's memory, which is waited for.
  void require_finite_energies(size_t step) const;
  void require_finite(const char* what, const float* values, size_t size, size_t step);
  /// `energy`: of that chain, where that is what is wrong.
  [[noreturn]] void diverged(const std::string& what, size_t chain, size_t step,
                             std::optional<float> energy = std::nullopt) const;

  /// Takes the energies, as observed, into the trace and tells the caller.
  void report(size_t step);

 private:
  void ask(const ObjectiveRows& rows, float* out, float* gradients, uint32_t draw);
  void throw_found_latents();
  void throw_found(const char* what, const float* values, size_t size, size_t step);

  const std::function<void(const SampleProgress&)>& progress_;
  std::unique_ptr<ConditionMixture> mixture_;
  ConditionedObjective conditioned_;
  static constexpr uint32_t kNone = 0xFFFFFFFF;
  Mirror<uint32_t> not_finite_;     ///< [1], the first row of what was looked at last
  std::optional<size_t> unlooked_;  ///< the step of a check_latents() whose finding is not known yet
};

/// Phases, one file each. A start leaves z and, where it knows them, energies.
bool start_chains(SamplerRun& run);  ///< false: energies are not known
/// Numbers of candidates that a round has for a chain.
size_t candidate_numbers(const SamplerConfig& config);
bool start_resampled(SamplerRun& run);  ///< fills result.ess and result.candidates
/// A further round (from 1): as many candidates as in the first, and the present state, which must have
/// energies.
void resample_again(SamplerRun& run, size_t round);
void run_langevin(SamplerRun& run);
void run_hybrid(SamplerRun& run);

/// The Metropolis-adjusted Langevin algorithm (method.md "Recommended sampler", 3) in standard coordinates:
///   u' = u − h·D(u) + √(2h)·ξ,  D = w·u + clip(λ·∂E/∂u), + what bounded dimensions add where w is not 1
/// The prior's part of the drift is not clipped: it is N(0, I)'s, whose steps are stable, and its norm √d is
/// no sign of anything. The likelihood's is, to a norm that grows as √d. The same D stands in both directions
/// of the accept step, so that clipping changes no target. Of the groups of run.config only those that are
/// kept count: their dimensions stay where they are, and the energy must have no gradient there.
class Mala {
 public:
  /// `log_steps` [B]: where the step sizes begin.
  Mala(SamplerRun& run, const std::vector<double>& log_steps);
  /// config.steps steps from where the chains are now; `done` were made before.
  void run(size_t done);
  /// Fills result.acceptance and result.step_sizes.
  void finish();

 private:
  /// Puts dimensions whose rule is `kept` where the chains are.
  void keep_groups(float* proposal) const;
  /// From E and ∂E/∂z at z = T(u): U into targets_ and D(u) in the gradients' place.
  void to_target(const float* u, const float* z, const float* energies, float* gradients);

  SamplerRun& run_;
  const StandardLatent standard_;
  const StandardLatent::Weights weights_;
  Prior standard_prior_;     ///< N(0, I)
  Buffer<float> u_, drift_;  ///< [n, d], where the chains are
  Buffer<float> proposal_, proposal_z_, proposal_drift_;
  Buffer<float> proposal_energies_, target_energies_;
  Mirror<double> targets_;
  Mirror<MalaState> states_;
};

}  // namespace tr0n
