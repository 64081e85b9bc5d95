#include "addon/sample_function.h"

#include "addon/config_fields.h"
#include "addon/latent_source_arguments.h"
#include "addon/objective_object.h"
#include "addon/results.h"
#include "addon/translator_object.h"
#include "core/sampling/sampler.h"

namespace tr0n::addon {
namespace {

/// The list of groups, or one group of all `d` dimensions by the config's own fields.
std::vector<UpdateGroup> read_groups(const Fields& config, size_t d) {
  UpdateGroup all;
  UpdateGroup::numbers(all, [&](auto& value, const Field& field) { read_field(config, field, value); });
  all.size = d;
  if (!config.has("groups")) return {all};
  const Napi::Value list = config.get("groups");
  if (!list.IsArray()) throw_invalid(config.path("groups"), "a list", list);
  std::vector<UpdateGroup> groups;
  for (uint32_t i = 0; i < list.As<Napi::Array>().Length(); ++i) {
    const Fields fields(list.As<Napi::Array>().Get(i), config.path("groups") + "[" + std::to_string(i) + "]");
    groups.emplace_back();
    UpdateGroup::fields(groups.back(), [&](auto& value, const Field& field) {
      const bool size = static_cast<const void*>(&value) == &groups.back().size;
      read_field(fields, size ? field.most(static_cast<double>(d)) : field, value);
    });
  }
  return groups;
}

SamplerConfig read_sampler_config(const Napi::Value& value, size_t d) {
  const Fields fields(value, "config");
  auto config = read_config<SamplerConfig>(fields);
  config.groups = read_groups(fields, d);
  return config;
}

std::shared_ptr<HostBlock> copy_floats(const float* from, size_t count) {
  auto block = std::make_shared<HostBlock>(count * sizeof(float));
  std::copy(from, from + count, block->floats());
  return block;
}

/// Tells the caller how far the chains are. With `every`, each report is delivered and the job waits for a
/// slow reader; without, only the newest counts.
class Reporter {
 public:
  Reporter(Job& job, size_t every, bool latents, size_t d)
      : job_(job), every_(every), latents_(latents), d_(d) {}

  void operator()(const SampleProgress& progress) const {
    const bool last = progress.step == progress.steps;
    const bool wanted = every_ > 0 ? progress.step % every_ == 0 || last : job_.report_due() || last;
    if (!wanted) return;
    const size_t chains = progress.chains, d = d_, step = progress.step, steps = progress.steps;
    const auto energies = copy_floats(progress.energies, chains);
    const auto latents = latents_ ? copy_floats(progress.latents(), chains * d) : nullptr;
    MakeValue report = [=](Napi::Env env) -> Napi::Value {
      Napi::Object object = Napi::Object::New(env);
      object.Set("step", static_cast<double>(step));
      object.Set("steps", static_cast<double>(steps));
      object.Set("energies", to_array(env, std::move(*energies), chains));
      if (latents) object.Set("latents", to_array(env, std::move(*latents), chains * d));
      return object;
    };
    if (every_ > 0)
      job_.report_in_order(std::move(report));
    else
      job_.report(std::move(report));
  }

 private:
  Job& job_;
  size_t every_;
  bool latents_;
  size_t d_;
};

Napi::Value to_result(Napi::Env env, SampleResult& result) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("latents", to_array(env, std::move(result.latents)));
  object.Set("energies", to_array(env, std::move(result.energies)));
  object.Set("ess", to_array(env, std::move(result.ess)));
  object.Set("candidates", to_array(env, std::move(result.candidates)));
  object.Set("acceptance", to_array(env, std::move(result.acceptance)));
  object.Set("stepSizes", to_array(env, std::move(result.step_sizes)));
  object.Set("trace", to_array(env, std::move(result.trace)));
  object.Set("forwards", static_cast<double>(result.forwards));
  object.Set("gradients", static_cast<double>(result.gradients));
  return object;
}

void mismatch(const std::string& what, size_t expected, size_t got) {
  if (expected != got)
    throw Error("ERR_SHAPE_MISMATCH",
                what + ": expected " + std::to_string(expected) + ", got " + std::to_string(got));
}

}  // namespace

Napi::Value sample_job(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Fields fields(info[0], "request");
    if (!absent(info[1]) && !info[1].IsFunction()) throw_invalid("onProgress", "a function", info[1]);
    const auto objective = ObjectiveObject::from(fields.get("objective"), fields.path("objective"));
    std::shared_ptr<const TranslatorVersion> translator;
    if (fields.has("translator"))
      translator = TranslatorObject::from(fields.get("translator"), fields.path("translator"))->current();
    const auto device = translator ? nullptr : read_device(fields.get("device"), fields.path("device"));
    const PriorValues prior = read_prior(fields.get("prior"), fields.path("prior"));
    const size_t d = objective->objective.latent_size(), m = objective->objective.condition_size();
    const SamplerConfig config = read_sampler_config(fields.get("config"), d);
    mismatch("prior.dim, against the objective's latent", d, prior.view().dim);
    if (translator) {
      mismatch("the translator's latent and auxiliary y, against the objective's latent", d,
               translator->config().latent + translator->config().auxiliary);
      mismatch("the translator's condition, against the objective's", m, translator->config().condition);
    } else if (config.start != Start::prior || config.kernel == Transition::hybrid) {
      throw_invalid(fields.path("translator"), "a translator for this start and kernel",
                    fields.get("translator"));
    }
    const bool needs_gradient = config.kernel != Transition::none && config.steps > 0;
    if (needs_gradient && !objective->objective.has_gradient())
      throw Error("ERR_NO_GRADIENT", "sample: this kernel needs gradients, the objective was made without");

    SampleRequest request;
    request.condition_count = fields.size("conditionCount");
    request.count = fields.size("count");
    size_t first = 0, every = 0;
    fields.optional("first", first, 0);
    fields.optional("every", every, 1);
    bool latents = false;
    fields.optional("latents", latents);
    if (first + request.count - 1 > kMostRows)
      throw_invalid(fields.path("first"), "first + count at most 2^32", std::to_string(first));
    request.first = static_cast<uint32_t>(first);
    InputReader reader;
    const auto conditions =
        reader.read<float>(fields.get("conditions"), fields.path("conditions"),
                           product({request.condition_count, m}, fields.path("conditions")));
    const auto streams =
        reader.read<uint32_t>(fields.get("streams"), fields.path("streams"), request.condition_count);
    request.conditions = conditions.data;
    std::decay_t<decltype(conditions)> own{};
    if (fields.has("translatorConditions")) {
      own = reader.read<float>(fields.get("translatorConditions"), fields.path("translatorConditions"),
                               product({request.condition_count, m}, fields.path("translatorConditions")));
      request.translator_conditions = own.data;
    }
    request.streams = streams.data;
    ArrayInput<float> stds;
    if (fields.has("auxiliary")) {
      const Fields auxiliary(fields.get("auxiliary"), fields.path("auxiliary"));
      request.auxiliary_begin = auxiliary.size("begin", 0, d);
      if (auxiliary.has("stds"))
        stds = reader.read<float>(auxiliary.get("stds"), auxiliary.path("stds"),
                                  translator ? translator->config().auxiliary : 0);
      request.auxiliary_stds = stds.data;
    }
    // Latents, drift, proposal and its drift, at least.
    const size_t chains = product({request.condition_count, request.count}, fields.path("count"));
    require_memory(product({chains, d, 4, sizeof(float)}, fields.path("count")),
                   "sampling " + std::to_string(chains) + " chains");

    ArrayInput<float> starts;
    if (fields.has("starts"))
      starts = reader.read<float>(fields.get("starts"), fields.path("starts"),
                                  product({chains, d}, fields.path("count")));
    request.starts = starts.data;
    std::shared_ptr<const SourceInput> source;
    if (fields.has("source")) {
      source = std::make_shared<const SourceInput>(fields.get("source"), fields.path("source"), reader);
      mismatch("source, against the objective's latent", d, source->get().size());
      request.source = &source->get();
    }

    // conditions, own, streams, stds, starts and source own what the request points to.
    const auto work = [=, conditions = conditions, own = own, streams = streams, stds = stds,
                       starts = starts](Job& job) -> MakeValue {
      const Reporter reporter(job, every, latents, d);
      std::function<void(const SampleProgress&)> progress;
      if (job.listens()) progress = reporter;
      if (source) source->prepare(job.token());
      SampleRequest placed = request;
      if (device) placed.device = &device->get();
      auto result = std::make_shared<SampleResult>(
          sample(objective->objective, translator ? &translator->get() : nullptr, prior.view(), config,
                 placed, job.token(), progress));
      return [result](Napi::Env env) { return to_result(env, *result); };
    };
    return Environment::of(info.Env()).start(reader.finish(), info[1], work);
  });
}

}  // namespace tr0n::addon
