#include "addon/objective_object.h"

#include "addon/augmentation_arguments.h"
#include "addon/results.h"
#include "addon/segment_arguments.h"
#include "addon/session_object.h"
#include "bridge/augmented_objective.h"
#include "bridge/onnx_block.h"
#include "bridge/pipeline_block.h"
#include "bridge/pullback_block.h"
#include "core/placed_objective.h"

namespace tr0n::addon {

RowLimits read_limits(const Fields& fields) {
  RowLimits limits;
  fields.optional("fixedBatch", limits.fixed_batch, 0, size_t{1} << 20);
  fields.optional("maxBatch", limits.max_batch, 1, size_t{1} << 20);
  fields.optional("rowFlops", limits.cost.flops);
  fields.optional("callNodes", limits.cost.nodes);
  fields.optional("weightBytes", limits.cost.bytes);
  fields.optional("ruleKey", limits.key);
  return limits;
}

Napi::Value to_rule(Napi::Env env, const BlockRule& rule) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("granularity", static_cast<double>(rule.granularity));
  object.Set("rows", static_cast<double>(rule.max_rows));
  return object;
}

Napi::Function ObjectiveObject::define(Napi::Env env) {
  return DefineClass(env, "NativeObjective",
                     {InstanceMethod<&ObjectiveObject::energy>("energy", napi_enumerable),
                      InstanceMethod<&ObjectiveObject::evaluate>("evaluate", napi_enumerable),
                      InstanceMethod<&ObjectiveObject::blocks>("blocks", napi_enumerable),
                      InstanceMethod<&ObjectiveObject::dispose_it>("dispose", napi_enumerable)});
}

namespace {

/// (z, c) → E, or E and ∂E/∂z: one session, behind segments where there are some.
std::shared_ptr<const BlockModel> read_block(const Fields& fields, const RowLimits& limits, bool gradient) {
  const char* const key = gradient ? "gradient" : "energy";
  PipelineHead head;
  head.session = SessionObject::session_from(fields.get(key), fields.path(key));
  head.input = fields.text("input");
  head.condition = fields.text("conditionInput");
  head.energy = fields.text("energyOutput");
  if (gradient) head.gradient = fields.text("gradientOutput");
  head.input_shape = read_shape(fields.get("inputShape"), fields.path("inputShape"));
  head.condition_shape = read_shape(fields.get("conditionShape"), fields.path("conditionShape"));
  fields.optional("headBatch", head.fixed_batch, 0, size_t{1} << 20);
  auto segments = read_segments(fields.get("segments"), fields.path("segments"));

  std::vector<std::string> outputs{head.energy};
  if (gradient) outputs.push_back(head.gradient);
  auto block = std::make_shared<OnnxBlock>(
      head.session,
      std::vector<RowInput>{{head.input, head.input_shape, 0}, {head.condition, head.condition_shape, 0}},
      std::move(outputs), head.fixed_batch > 0 ? head.fixed_batch : limits.fixed_batch);
  if (segments.empty()) return block;
  std::string name = head.session->name();
  return std::make_shared<PipelineBlock>(std::move(name), std::move(segments), std::move(head));
}

}  // namespace

Napi::Value ObjectiveObject::create(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Fields fields(info[0], "config");
    const RowLimits limits = read_limits(fields);
    auto energy = read_block(fields, limits, false);
    auto gradient = fields.has("gradient") ? read_block(fields, limits, true) : nullptr;
    auto models = std::make_shared<ModelObjective>(std::move(energy), std::move(gradient), limits);
    return make(info.Env(), std::make_shared<CountedObjective>(std::move(models)), 0);
  });
}

Napi::Value ObjectiveObject::create_augmented(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Fields fields(info[0], "config");
    const RowLimits limits = read_limits(fields);
    const auto behind = from(fields.get("objective"), fields.path("objective"));
    const AugmentationPolicy policy = read_augmentation(fields.get("policy"), fields.path("policy"));
    const std::vector<int64_t> image = read_shape(fields.get("imageShape"), fields.path("imageShape"));
    auto segments = read_segments(fields.get("generator"), fields.path("generator"));
    if (segments.empty()) throw_invalid(fields.path("generator"), "segments", "none");
    const std::vector<int64_t> parameters{kAugmentationParameters};
    const auto block = [&](const char* key, std::vector<RowInput> inputs, const char* output) {
      return std::make_shared<OnnxBlock>(SessionObject::session_from(fields.get(key), fields.path(key)),
                                         std::move(inputs), std::vector<std::string>{output}, 0);
    };
    AugmentedParts parts;
    parts.objective = behind->models;
    parts.augment = block("augment", {{"image", image, 0}, {"parameters", parameters, 0}}, "augmented");
    if (fields.has("transpose")) {
      parts.transpose =
          block("transpose", {{"parameters", parameters, 0}, {"grad_augmented", image, 0}}, "grad_image");
      parts.pullback = std::make_shared<PullbackBlock>(segments, image);
    }
    std::string name = segments.back()->name();
    parts.generator = std::make_shared<PipelineBlock>(std::move(name), std::move(segments));
    auto whole = std::make_shared<AugmentedObjective>(std::move(parts), policy, limits, limits.max_batch);
    return make(info.Env(), std::make_shared<CountedObjective>(behind->models, std::move(whole)), 0);
  });
}

Napi::Value ObjectiveObject::evaluate_rows(const Napi::CallbackInfo& info, bool gradient) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto counted = live();
    const size_t d = counted->objective.latent_size(), m = counted->objective.condition_size();
    const size_t n = read_size(info[2], "n");
    InputReader reader;
    const auto z = reader.read<float>(info[0], "z", product({n, d}, "z"));
    const auto c = reader.read<float>(info[1], "c", product({n, m}, "c"));
    if (gradient && !counted->objective.has_gradient())
      throw Error("ERR_NO_GRADIENT", "evaluate: this objective was made without a gradient session");
    require_memory(product({n, gradient ? d + 1 : 1, sizeof(float)}, "n"), "the result");
    const auto work = [counted, z, c, n, d, gradient](Job& job) -> MakeValue {
      auto energies = std::make_shared<HostBlock>(n * sizeof(float));
      std::vector<Chain> chains(n);
      for (size_t i = 0; i < n; ++i) chains[i].index = static_cast<uint32_t>(i);
      const EnergyDraws draws{Philox(0), chains.data(), 0};
      PlacedObjective objective(counted->objective, nullptr);
      if (!gradient) {
        objective.energy(z.data, c.data, n, draws, energies->floats(), job.token());
        return [energies, n](Napi::Env env) { return to_array(env, std::move(*energies), n); };
      }
      auto gradients = std::make_shared<HostBlock>(n * d * sizeof(float));
      objective.evaluate(z.data, c.data, n, draws, energies->floats(), gradients->floats(), job.token());
      return [energies, gradients, n, d](Napi::Env env) -> Napi::Value {
        Napi::Object result = Napi::Object::New(env);
        result.Set("energies", to_array(env, std::move(*energies), n));
        result.Set("gradients", to_array(env, std::move(*gradients), n * d));
        return result;
      };
    };
    return Environment::of(info.Env()).start(reader.finish(), Napi::Value(), work);
  });
}

/// The block rules that were found: { energy, gradient }.
Napi::Value ObjectiveObject::blocks(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto work = [counted = live()](Job& job) -> MakeValue {
      const BlockRule energy = counted->models->energy_rule(job.token());
      const bool has_gradient = counted->models->has_gradient();
      const BlockRule gradient = counted->models->gradient_rule(job.token());
      return [=](Napi::Env env) -> Napi::Value {
        Napi::Object result = Napi::Object::New(env);
        result.Set("energy", to_rule(env, energy));
        result.Set("gradient", has_gradient ? to_rule(env, gradient) : env.Null());
        return result;
      };
    };
    return Environment::of(info.Env()).start({}, Napi::Value(), work);
  });
}

}  // namespace tr0n::addon
