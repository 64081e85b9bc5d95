#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/fields.h"

namespace tr0n {

constexpr const char* kNotNegative = "a finite number of at least 0";
constexpr const char* kPositive = "a finite number above 0";
constexpr const char* kShare = "a finite number in [0, 1]";

/// Where chains start.
enum class Start {
  resample,    ///< importance resampling over candidates (method.md, "Recommended sampler", 1 and 2)
  translator,  ///< one draw of q(z|c)
  mode,        ///< the mean of q's heaviest component
  prior,       ///< one draw of p(z): the naive start
};

/// What moves them.
enum class Transition {
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

/// How dimensions of a latent move under Transition::langevin and hybrid.
enum class Rule {
  sgld,   ///< momentum SGD
  adam,   ///< Adam (0.9, 0.999, 1e-8); of sgld's numbers `momentum` plays no part
  fixed,  ///< not at all
  kept    ///< not at all, nor under mala; hybrid starts with one draw of q(z|c) in the place of the means
};

template <>
struct Names<Start> {
  static constexpr std::pair<const char*, Start> all[] = {{"resample", Start::resample},
                                                          {"translator", Start::translator},
                                                          {"mode", Start::mode},
                                                          {"prior", Start::prior}};
};

template <>
struct Names<Transition> {
  static constexpr std::pair<const char*, Transition> all[] = {{"none", Transition::none},
                                                               {"mala", Transition::mala},
                                                               {"langevin", Transition::langevin},
                                                               {"hybrid", Transition::hybrid}};
};

template <>
struct Names<Adapt> {
  static constexpr std::pair<const char*, Adapt> all[] = {
      {"none", Adapt::none}, {"chain", Adapt::chain}, {"pilot", Adapt::pilot}};
};

template <>
struct Names<Rule> {
  static constexpr std::pair<const char*, Rule> all[] = {
      {"sgld", Rule::sgld}, {"adam", Rule::adam}, {"fixed", Rule::fixed}, {"kept", Rule::kept}};
};

/// Whether dimensions stay as they are.
inline bool stays(Rule rule) { return rule == Rule::fixed || rule == Rule::kept; }

/// So many dimensions of a latent with their rule. Gradients are clipped per chain and group. Under
/// Transition::hybrid none may have both of an auxiliary head's y and of z.
struct UpdateGroup {
  size_t size = 0;
  Rule rule = Rule::sgld;
  double learning_rate = 0.1;  ///< η
  double momentum = 0.99;
  double noise = 0.01;  ///< σ
  double clip = 1.0;    ///< gradient norm; 0 = off
  double bound = 0.0;   ///< clamp to ±bound after each step; 0 = off

  template <class Self, class Visit>
  static void fields(Self& self, const Visit& visit) {
    visit(self.size, Field("size", "size").least(1).in("dimensions").needed());
    visit(self.rule, Field("rule", "rule").needed());
    numbers(self, visit);
  }
  /// Those that a sampler without groups has itself.
  template <class Self, class Visit>
  static void numbers(Self& self, const Visit& visit) {
    visit(self.learning_rate, Field("learningRate", "learning rate").above(0).said(kPositive));
    visit(self.momentum, Field("momentum", "momentum").least(0).below(1).said("a finite number in [0, 1)"));
    visit(self.noise, Field("noise", "noise").least(0).said(kNotNegative));
    visit(self.clip, Field("clip", "clip").least(0).said(kNotNegative).in("gradient norm"));
    visit(self.bound, Field("bound", "bound").least(0).said(kNotNegative));
  }
};

struct SamplerConfig {
  Start start = Start::resample;
  Transition kernel = Transition::mala;
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

  // Transition::mala
  static constexpr double kAuto = -1;
  double step_size =
      kAuto;  ///< h₀ in standard coordinates (core/prior/standard_latent.h); auto: core/sampling/mala_scale.h
  double target_accept = 0.57;
  /// Norm that the likelihood's part of the drift in standard coordinates is clipped to; 0 = off; auto:
  /// core/sampling/mala_scale.h.
  double max_drift = kAuto;
  Adapt adapt = Adapt::chain;
  size_t pilot_steps = 50;  ///< Adapt::pilot: of each of `pilot_chains` chains

  // Transition::langevin, Transition::hybrid; of Transition::mala what is kept
  std::vector<UpdateGroup> groups;  ///< of the dimensions in their order; none: one group as UpdateGroup is
  double weight_learning_rate = 5e-3;  ///< hybrid: Adam on the mixture weights' logits

  uint64_t seed = 0;

  /// All but `groups`, and `pilot_chains`, which nobody sets but tests.
  template <class Self, class Visit>
  static void fields(Self& self, const Visit& visit) {
    constexpr double kMostSteps = (1 << 24) - 1;  // what the random numbers' counter holds
    constexpr double kMostCandidates = 1 << 20;
    visit(self.start, Field("start", "start").needed());
    visit(self.kernel, Field("kernel", "kernel").needed());
    visit(self.steps, Field("steps", "steps").least(0).most(kMostSteps).needed());
    visit(self.fidelity, Field("fidelity", "fidelity").least(0).said(kNotNegative));
    visit(self.prior_weight, Field("priorWeight", "prior weight").least(0).said(kNotNegative));
    visit(self.candidates, Field("candidates", "candidates").least(1).most(kMostCandidates));
    visit(self.max_candidates, Field("maxCandidates", "candidates").least(1).most(kMostCandidates));
    visit(self.prior_fraction, Field("priorFraction", "prior fraction").least(0).most(1).said(kShare));
    visit(self.min_ess, Field("minEss", "minimal effective sample size").least(0).said(kNotNegative));
    visit(self.step_size, Field("stepSize", "step size").above(0).automatic(kAuto).said(kPositive));
    visit(self.target_accept,
          Field("targetAccept", "target accept").above(0).below(1).said("a finite number in (0, 1)"));
    visit(self.max_drift, Field("maxDrift", "max drift").least(0).automatic(kAuto).said(kNotNegative));
    visit(self.adapt, Field("adapt", "adapt"));
    visit(self.pilot_steps, Field("pilotSteps", "pilot steps").least(1).most(kMostSteps));
    visit(self.rounds, Field("rounds", "rounds").least(1).most(4096));
    visit(self.weight_learning_rate,
          Field("weightLearningRate", "weight learning rate").above(0).said(kPositive));
    visit(self.seed, Field("seed", "seed").random_seed());
  }
};

}  // namespace tr0n
