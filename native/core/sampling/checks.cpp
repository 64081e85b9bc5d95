#include "core/sampling/checks.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"
#include "base/memory.h"
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
  if (config.kernel == Transition::mala) floats += 5 * d + 9;
  if (config.kernel == Transition::langevin) floats += 5 * d;
  if (config.kernel == Transition::hybrid)
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
  const bool hybrid = config.kernel == Transition::hybrid && config.steps > 0;
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

}  // namespace

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
  if (config.kernel != Transition::none && config.steps > 0 && !objective.has_gradient())
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

}  // namespace tr0n
