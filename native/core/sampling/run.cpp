#include "core/sampling/run.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

namespace tr0n {
namespace {

/// 8192 rows, fewer where latents or conditions are long: 64 MiB of either.
size_t bounded_rows(size_t latent, size_t condition) {
  constexpr size_t floats = size_t{1} << 24;
  return std::clamp<size_t>(floats / std::max<size_t>({latent, condition, 1}), 16, 8192);
}

}  // namespace

SamplerRun::SamplerRun(Objective& run_objective, const Translator* run_translator, const Prior& run_prior,
                       const SamplerConfig& run_config, const SampleRequest& run_request,
                       CancelToken& run_cancel,
                       const std::function<void(const SampleProgress&)>& run_progress)
    : objective(run_objective),
      translator(run_translator),
      prior(run_prior),
      config(run_config),
      request(run_request),
      cancel(run_cancel),
      kernel(run_config.steps > 0 ? run_config.kernel : Transition::none),
      device(run_translator != nullptr       ? run_translator->device()
             : run_request.device != nullptr ? *run_request.device
                                             : cpu_device()),
      kernels(device.kernels()),
      rng(run_config.seed),
      n(run_request.condition_count * run_request.count),
      d(run_prior.dim),
      auxiliary{run_request.auxiliary_begin,
                run_translator != nullptr ? run_translator->config().auxiliary : 0},
      rows_per_call(bounded_rows(d, run_objective.condition_size())),
      device_prior(device, run_prior, 0, d),
      chains(device, n),
      conditions(device, n),
      z(device, n * d),
      energies(device, n),
      progress_(run_progress),
      conditioned_(run_objective, device, run_request.conditions, run_request.condition_count),
      not_finite_(device, 1) {
  not_finite_.host()[0] = kNone;
  not_finite_.push();
  for (size_t i = 0; i < n; ++i) {
    const size_t condition = i / request.count;
    chains.host()[i] = {request.streams[condition], request.first + static_cast<uint32_t>(i % request.count)};
    conditions.host()[i] = static_cast<uint32_t>(condition);
  }
  chains.push();
  conditions.push();
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  const bool resamples = config.start == Start::resample && kernel != Transition::hybrid && n > 0;
  result.ess.assign(request.condition_count, resamples ? 0.0f : nan);
  result.candidates.assign(request.condition_count, 0);
  result.acceptance.assign(request.condition_count, nan);
  result.step_sizes.assign(request.condition_count, nan);
  // So that steps allocate nothing, unless there are very many.
  constexpr size_t most = size_t{1} << 20;
  const size_t reports = kernel == Transition::none ? 1 : config.rounds * config.steps + 1;
  result.trace.reserve(std::min(most, request.condition_count * std::min(most, reports)));
}

const ConditionMixture& SamplerRun::mixture() {
  if (!mixture_) {
    const float* own = request.translator_conditions;
    mixture_.reset(new ConditionMixture(*translator, auxiliary, request.auxiliary_stds,
                                        own != nullptr ? own : request.conditions, request.condition_count));
  }
  return *mixture_;
}

void SamplerRun::ask(const ObjectiveRows& rows, float* out, float* gradients, uint32_t draw) {
  for (size_t begin = 0; begin < rows.count; begin += rows_per_call) {
    cancel.throw_if_cancelled();
    const size_t count = std::min(rows_per_call, rows.count - begin);
    const ObjectiveRows part = rows.part(begin, count, d);
    conditioned_.evaluate(part, {rng, part.chains, draw}, out + begin,
                          gradients == nullptr ? nullptr : gradients + begin * d, cancel);
    (gradients == nullptr ? result.forwards : result.gradients) += count;
  }
  cancel.throw_if_cancelled();
}

void SamplerRun::energy(const ObjectiveRows& rows, float* out, uint32_t draw) {
  ask(rows, out, nullptr, draw);
}

void SamplerRun::evaluate(const ObjectiveRows& rows, float* out, float* gradients, uint32_t draw) {
  ask(rows, out, gradients, draw);
}

void SamplerRun::check_latents(size_t step) {
  kernels.rows->not_finite({n, d, z.device(), not_finite_.device()});
  unlooked_ = step;
  if (device.host_memory()) throw_found_latents();
}

void SamplerRun::throw_found_latents() {
  if (!unlooked_) return;
  const size_t step = *std::exchange(unlooked_, std::nullopt);
  not_finite_.pull();
  throw_found("an element of its latent", z.device(), d, step);
}

void SamplerRun::require_finite(const char* what, const float* values, size_t size, size_t step) {
  kernels.rows->not_finite({n, size, values, not_finite_.device()});
  not_finite_.pull();
  throw_found(what, values, size, step);
}

void SamplerRun::throw_found(const char* what, const float* values, size_t size, size_t step) {
  const size_t chain = not_finite_.host()[0];
  if (chain == kNone) return;
  std::vector<float> row(size);
  device.download(row.data(), values + chain * size, size * sizeof(float));
  const auto bad = std::find_if(row.begin(), row.end(), [](float x) { return !std::isfinite(x); });
  diverged(std::string(what) + " is " + std::to_string(*bad), chain, step);
}

void SamplerRun::observe() {
  throw_found_latents();
  energies.pull();
}

void SamplerRun::require_finite_energies(size_t step) const {
  const float* const first = energies.host();
  const float* const bad = std::find_if(first, first + n, [](float x) { return !std::isfinite(x); });
  if (bad != first + n)
    diverged("its energy is " + std::to_string(*bad), static_cast<size_t>(bad - first), step, *bad);
}

void SamplerRun::diverged(const std::string& what, size_t chain, size_t step,
                          std::optional<float> energy) const {
  std::vector<float> trace;
  for (size_t at = chain / request.count; at < result.trace.size(); at += request.condition_count)
    trace.push_back(result.trace[at]);
  if (energy && trace.size() <= step) trace.push_back(*energy);
  throw Error("ERR_DIVERGED",
              "sampling diverged at step " + std::to_string(step) + " in chain " + std::to_string(chain) +
                  " (condition " + std::to_string(chain / request.count) + ", sample " +
                  std::to_string(chain % request.count + request.first) + "): " + what,
              std::move(trace));
}

void SamplerRun::report(size_t step) {
  for (size_t b = 0; b < request.condition_count; ++b) {
    double sum = 0;
    for (size_t i = b * request.count; i < (b + 1) * request.count; ++i)
      sum += static_cast<double>(energies.host()[i]);
    result.trace.push_back(static_cast<float>(sum / static_cast<double>(request.count)));
  }
  if (!progress_) return;
  SampleProgress progress;
  progress.step = step;
  const size_t rounds = config.start == Start::resample && kernel == Transition::mala ? config.rounds : 1;
  progress.steps = kernel == Transition::none ? 0 : rounds * config.steps;
  progress.energies = energies.host();
  progress.latents = [this] {
    z.pull();
    return static_cast<const float*>(z.host());
  };
  progress.chains = n;
  progress_(progress);
}

}  // namespace tr0n
