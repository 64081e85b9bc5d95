#include "core/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "base/error.h"
#include "base/memory.h"
#include "base/thread_pool.h"
#include "core/sampling/mala_scale.h"
#include "core/sampling/run.h"

namespace tr0n {
namespace {

constexpr size_t kMaxPhiloxStep = (size_t{1} << 24) - 1;

[[noreturn]] void fail(const std::string& what) { throw Error("ERR_INVALID_ARGUMENT", "sampler: " + what); }

void check_config(const SamplerConfig& config) {
  check_fields(config, "sampler");
  const double drawn = static_cast<double>(candidate_numbers(config)) + 1;
  if (static_cast<double>(config.rounds) * std::max(drawn, static_cast<double>(config.steps)) >
      kMaxPhiloxStep)
    fail("rounds: expected fewer than 2^24 candidates and steps in all, got " +
         std::to_string(config.rounds) + " rounds");
  if (config.adapt == Adapt::pilot && config.pilot_chains == 0)
    fail("pilot chains: expected at least 1, got 0");
  for (const UpdateGroup& group : config.groups) check_fields(group, "sampler");
}

void check_fit(const char* what, size_t got, const char* whose, size_t expected) {
  if (got != expected)
    throw Error("ERR_SHAPE_MISMATCH", std::string("sampler: ") + what + " has " + std::to_string(got) +
                                          " elements, the " + whose + " has " + std::to_string(expected));
}

/// Refuses what cannot fit, before anything is allocated: the system would grant the memory and kill the
/// process later.
void check_memory(const Prior& prior, const SamplerConfig& config, const SampleRequest& request,
                  const Translator* translator) {
  const double d = static_cast<double>(prior.dim);
  double floats = 2 * d + 8;  // latents, result, energies, chains
  if (config.start == Start::resample) floats += d + 16;
  if (config.start == Start::prior && request.starts != nullptr) floats += d;
  if (config.kernel == Kernel::mala) floats += 5 * d + 9;
  if (config.kernel == Kernel::langevin) floats += 5 * d;
  if (config.kernel == Kernel::hybrid)
    floats +=
        3 * d + 7 * d * static_cast<double>(translator != nullptr ? translator->config().components : 1);
  const double chains = static_cast<double>(request.condition_count) * static_cast<double>(request.count);
  if (4 * floats * chains > static_cast<double>(available_memory()) || request.condition_count > ~uint32_t{0})
    throw Error("ERR_OUT_OF_MEMORY",
                "sampler: " + std::to_string(request.condition_count) + " conditions × " +
                    std::to_string(request.count) + " samples need " +
                    std::to_string(static_cast<uint64_t>(4 * floats * chains / 1048576)) +
                    " MiB, more than there is: ask for fewer at once");
}

/// The translator's latent and its y against the objective's latent.
void check_auxiliary(const Objective& objective, const Translator& translator, const SamplerConfig& config,
                     const SampleRequest& request) {
  const size_t d = objective.latent_size(), z = translator.config().latent, y = translator.config().auxiliary;
  check_fit(y == 0 ? "the translator's latent" : "the translator's latent with its auxiliary y", z + y,
            "objective's", d);
  if (y == 0) return;
  if (request.auxiliary_begin > z)
    fail("auxiliary begin: expected at most " + std::to_string(z) + ", so that y fits into the latent, got " +
         std::to_string(request.auxiliary_begin));
  const bool hybrid = config.kernel == Kernel::hybrid && config.steps > 0;
  if (config.start == Start::resample && !hybrid && request.auxiliary_stds == nullptr)
    fail("auxiliary stds: resampling weighs candidates by a density of y, expected its deviations, got none");
  for (size_t j = 0; request.auxiliary_stds != nullptr && j < y; ++j)
    if (!(std::isfinite(request.auxiliary_stds[j]) && request.auxiliary_stds[j] > 0))
      fail("auxiliary stds: expected finite values above 0, got " +
           std::to_string(request.auxiliary_stds[j]) + " at " + std::to_string(j));
  size_t begin = 0;
  for (size_t i = 0; hybrid && i < std::max<size_t>(1, config.groups.size()); ++i) {
    const size_t size = config.groups.empty() ? d : config.groups[i].size;
    if (AuxiliaryPlace{request.auxiliary_begin, y}.cuts(begin, size))
      fail(
          "groups: the hybrid sampler moves y of an auxiliary head as one vector, expected groups that have "
          "none of "
          "it or nothing else, got one of dimensions " +
          std::to_string(begin) + " to " + std::to_string(begin + size) + " beside y's from " +
          std::to_string(request.auxiliary_begin));
    begin += size;
  }
}

void check_request(const Objective& objective, const Translator* translator, const Prior& prior,
                   const SamplerConfig& config, const SampleRequest& request) {
  prior.check();
  check_config(config);
  check_fit("the prior's latent", prior.dim, "objective's", objective.latent_size());
  if (config.start != Start::prior) {
    if (translator == nullptr) fail("this start needs a translator, got none");
    check_auxiliary(objective, *translator, config, request);
    if (config.start == Start::resample && translator->config().deterministic)
      fail(
          "start: resampling weighs candidates by the translator's density, and a deterministic translator "
          "has none");
    check_fit("the translator's condition", translator->config().condition, "objective's",
              objective.condition_size());
  }
  if (config.kernel != Kernel::none && config.steps > 0 && !objective.has_gradient())
    throw Error("ERR_NO_GRADIENT", "sampler: this kernel needs ∂E/∂z, and the objective has no gradient");
  if (!config.groups.empty()) {
    size_t size = 0;
    for (const UpdateGroup& group : config.groups) size += group.size;
    check_fit("the update groups together", size, "objective's latent", objective.latent_size());
  }
  if (request.count > (uint64_t{1} << 32) - request.first)
    fail("count: samples " + std::to_string(request.first) + " and " + std::to_string(request.count) +
         " more: expected indices below 2^32");
  check_memory(prior, config, request, translator);
  if (request.condition_count > 0 && (request.conditions == nullptr || request.streams == nullptr))
    fail("conditions and streams: expected arrays, got none");
  for (const float* conditions : {request.conditions, request.translator_conditions})
    for (size_t i = 0; conditions != nullptr && i < request.condition_count * objective.condition_size(); ++i)
      if (!std::isfinite(conditions[i]))
        fail("conditions: expected finite values, got " + std::to_string(conditions[i]) + " in condition " +
             std::to_string(i / objective.condition_size()));
}

}  // namespace

namespace {

/// Everything but what is asked of results. `log_steps` [B] are where MALA's begin.
void run_chains(SamplerRun& run, const std::vector<double>& log_steps) {
  const SamplerConfig& config = run.config;
  const bool resamples = config.start == Start::resample;
  switch (run.kernel) {
    case Kernel::hybrid:
      return run_hybrid(run);
    case Kernel::langevin:
      start_chains(run);
      return run_langevin(run);
    case Kernel::mala: {
      start_chains(run);
      Mala mala(run, log_steps);
      mala.run(0);
      for (size_t round = 1; resamples && round < config.rounds; ++round) {
        resample_again(run, round);
        mala.run(round * config.steps);
      }
      return mala.finish();
    }
    case Kernel::none:
      break;
  }
  const bool energies_known = start_chains(run);
  if (!energies_known) run.energy(run.all(run.z.host()), run.energies.host());
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
  if (run.kernel != Kernel::mala || run.config.adapt != Adapt::pilot) return log_steps;
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
  run.result.latents.assign(run.z.host(), run.z.host() + run.n * run.d);
  run.result.energies.assign(run.energies.host(), run.energies.host() + run.n);
  return std::move(run.result);
}

void draw_prior(const Prior& prior, uint64_t seed, uint32_t stream, uint32_t first, size_t n, Purpose purpose,
                float* z) {
  prior.check();
  const Philox rng(seed);
  constexpr size_t block = 256;
  const auto body = [&](size_t index) {
    for (size_t i = index * block; i < std::min(n, (index + 1) * block); ++i)
      prior.draw(rng, {stream, first + static_cast<uint32_t>(i)}, 0, purpose, z + i * prior.dim);
  };
  ThreadPool::instance().parallel_for((n + block - 1) / block, std::ref(body));
}

}  // namespace tr0n
