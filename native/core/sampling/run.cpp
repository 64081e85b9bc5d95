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
      progress_(run_progress) {
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

const float* SamplerRun::expand(const uint32_t* of_row, size_t rows) {
  const size_t m = objective.condition_size();
  if (expanded_.size() < rows * m) expanded_.resize(rows * m);
  for (size_t i = 0; i < rows; ++i)
    std::copy_n(request.conditions + of_row[i] * m, m, expanded_.data() + i * m);
  return expanded_.data();
}

void SamplerRun::energy(const Rows& rows, float* out, uint32_t draw) {
  for (size_t begin = 0; begin < rows.count; begin += rows_per_call) {
    cancel.throw_if_cancelled();
    const size_t count = std::min(rows_per_call, rows.count - begin);
    objective.energy(rows.latents + begin * d, expand(rows.conditions + begin, count), count,
                     {rng, rows.chains + begin, draw}, out + begin, cancel);
    result.forwards += count;
  }
  cancel.throw_if_cancelled();
}

void SamplerRun::evaluate(const Rows& rows, float* out, float* gradients, uint32_t draw) {
  for (size_t begin = 0; begin < rows.count; begin += rows_per_call) {
    cancel.throw_if_cancelled();
    const size_t count = std::min(rows_per_call, rows.count - begin);
    objective.evaluate(rows.latents + begin * d, expand(rows.conditions + begin, count), count,
                       {rng, rows.chains + begin, draw}, out + begin, gradients + begin * d, cancel);
    result.gradients += count;
  }
  cancel.throw_if_cancelled();
}

void SamplerRun::require_finite(const char* what, const float* values, size_t size, size_t step) const {
  for (size_t i = 0; i < n * size; ++i)
    if (!std::isfinite(values[i]))
      diverged(std::string(what) + " is " + std::to_string(values[i]), i / size, step);
}

void SamplerRun::require_finite_energies(size_t step) const {
  require_finite("its energy", energies.host(), 1, step);
}
void SamplerRun::require_finite_latents(size_t step) const {
  require_finite("an element of its latent", z.host(), d, step);
}

void SamplerRun::diverged(const std::string& what, size_t chain, size_t step) const {
  std::vector<float> trace;
  for (size_t at = chain / request.count; at < result.trace.size(); at += request.condition_count)
    trace.push_back(result.trace[at]);
  const float energy = energies.host()[chain];
  if (trace.size() <= step && !std::isfinite(energy)) trace.push_back(energy);
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
  progress.latents = z.host();
  progress.chains = n;
  progress_(progress);
}

}  // namespace tr0n
