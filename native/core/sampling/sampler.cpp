#include "core/sampling/sampler.h"

#include <cmath>

#include "core/sampling/checks.h"
#include "core/sampling/mala_scale.h"
#include "core/sampling/run.h"

namespace tr0n {
namespace {

/// Everything but what is asked of results. `log_steps` [B] are where MALA's begin.
void run_chains(SamplerRun& run, const std::vector<double>& log_steps) {
  const SamplerConfig& config = run.config;
  const bool resamples = config.start == Start::resample;
  switch (run.kernel) {
    case Transition::hybrid:
      return run_hybrid(run);
    case Transition::langevin:
      start_chains(run);
      return run_langevin(run);
    case Transition::mala: {
      start_chains(run);
      Mala mala(run, log_steps);
      mala.run(0);
      for (size_t round = 1; resamples && round < config.rounds; ++round) {
        resample_again(run, round);
        mala.run(round * config.steps);
      }
      return mala.finish();
    }
    case Transition::none:
      break;
  }
  const bool energies_known = start_chains(run);
  if (!energies_known) run.energy(run.all(run.z.device()), run.energies.device());
  run.observe();
  run.require_finite_energies(0);
  for (size_t round = 1; resamples && round < config.rounds; ++round) resample_again(run, round);
  run.report(0);
}

double first_step_size(const SamplerRun& run) {
  return run.config.step_size == SamplerConfig::kAuto ? default_step_size(run.d, run.config.fidelity)
                                                      : run.config.step_size;
}

/// Where chains of every condition begin their steps: log h₀, or what a pilot run adapts it to.
std::vector<double> first_log_steps(const SamplerRun& run, SampleResult& result) {
  const size_t conditions = run.request.condition_count;
  std::vector<double> log_steps(conditions, std::log(first_step_size(run)));
  if (run.kernel != Transition::mala || run.config.adapt != Adapt::pilot) return log_steps;
  SamplerConfig config = run.config;
  config.adapt = Adapt::chain;
  config.rounds = 1;
  config.steps = config.pilot_steps;
  // Random numbers of its own, so that a frozen step size depends on nothing that its chain sees.
  const auto words = Philox::block({0x70696C6Fu, 0x74u, 0, 0}, run.rng.key());
  config.seed = static_cast<uint64_t>(words[1]) << 32 | words[0];
  SampleRequest request = run.request;
  request.first = 0;
  request.count = config.pilot_chains;
  request.starts = nullptr;
  const std::function<void(const SampleProgress&)> nobody;
  SamplerRun pilot(run.objective, run.translator, run.prior, config, request, run.cancel, nobody);
  run_chains(pilot, log_steps);
  for (size_t b = 0; b < conditions; ++b)
    log_steps[b] = std::log(static_cast<double>(pilot.result.step_sizes[b]));
  result.forwards += pilot.result.forwards;
  result.gradients += pilot.result.gradients;
  return log_steps;
}

}  // namespace

SampleResult sample(Objective& objective, const Translator* translator, const Prior& prior,
                    const SamplerConfig& config, const SampleRequest& request, CancelToken& cancel,
                    const std::function<void(const SampleProgress&)>& progress) {
  check_request(objective, translator, prior, config, request);
  cancel.throw_if_cancelled();
  SamplerRun run(objective, translator, prior, config, request, cancel, progress);
  if (run.n == 0) return std::move(run.result);
  run_chains(run, first_log_steps(run, run.result));
  run.z.pull();
  run.result.latents.assign(run.z.host(), run.z.host() + run.n * run.d);
  run.result.energies.assign(run.energies.host(), run.energies.host() + run.n);
  return std::move(run.result);
}

}  // namespace tr0n
