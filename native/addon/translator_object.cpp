#include "addon/translator_object.h"

#include <algorithm>
#include <cmath>

#include "addon/config_fields.h"
#include "addon/results.h"
#include "addon/row_arguments.h"
#include "core/rows/rows.h"
#include "core/translator/calibration.h"

namespace tr0n::addon {
namespace {

/// Throws for a number that is not finite, in the words of lib/base/tensor.ts.
void require_finite(const char* name, const ArrayInput<float>& input, CancelToken& cancel) {
  const size_t bad = first_not_finite(input.data, input.size, cancel);
  if (bad == input.size) return;
  const float x = input.data[bad];
  throw Error("ERR_INVALID_ARGUMENT", std::string(name) + ": expected finite numbers, got " +
                                          (std::isnan(x) ? "NaN"
                                           : x > 0       ? "Infinity"
                                                         : "-Infinity") +
                                          " at index " + std::to_string(bad));
}

/// Rows of one call into the translator where the answer does not need them together: a mixture takes many
/// times the memory of its draws, and jobs are cancelled between slices.
constexpr size_t kSlice = 256;

}  // namespace

Napi::Function TranslatorObject::define(Napi::Env env) {
  return DefineClass(env, "NativeTranslator",
                     {InstanceMethod<&TranslatorObject::values>("values", napi_enumerable),
                      InstanceMethod<&TranslatorObject::copy_values>("copyValues", napi_enumerable),
                      InstanceMethod<&TranslatorObject::set_values>("setValues", napi_enumerable),
                      InstanceMethod<&TranslatorObject::assign_values>("assignValues", napi_enumerable),
                      InstanceMethod<&TranslatorObject::calibrate>("calibrate", napi_enumerable),
                      InstanceMethod<&TranslatorObject::forward>("forward", napi_enumerable),
                      InstanceMethod<&TranslatorObject::log_density>("logDensity", napi_enumerable),
                      InstanceMethod<&TranslatorObject::draw>("draw", napi_enumerable),
                      InstanceMethod<&TranslatorObject::loss>("loss", napi_enumerable),
                      InstanceMethod<&TranslatorObject::dispose_it>("dispose", napi_enumerable)});
}

TranslatorObject::TranslatorObject(const Napi::CallbackInfo& info) : NativeObject(info) {
  const Napi::Env env = info.Env();
  const auto translator = live()->current();
  Napi::Array list = Napi::Array::New(env);
  for (const Parameter& parameter : translator->parameters()) {
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("name", parameter.name);
    entry.Set("shape", to_shape(env, {parameter.shape.begin(), parameter.shape.end()}));
    entry.Set("offset", static_cast<double>(parameter.offset));
    entry.Set("size", static_cast<double>(parameter.size));
    list.Set(list.Length(), entry);
  }
  info.This().As<Napi::Object>().Set("parameters", list);
  info.This().As<Napi::Object>().Set("device", translator->placement().device->name());
}

Napi::Value TranslatorObject::create(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto config = read_config<TranslatorConfig>(Fields(info[0], "config"));
    const uint64_t seed = read_seed(info[1], "seed");
    config.check();
    const size_t heads = product({config.components, config.head_width() + 1}, "config") + config.auxiliary;
    const size_t parameters =
        product({config.hidden,
                 config.condition + product({config.depth, config.hidden + 1}, "config") + heads + 1},
                "config") +
        product({config.rank, config.latent}, "config");
    require_memory(product({parameters, sizeof(float)}, "config"), "a translator of this size");
    Placement placement;
    placement.device = read_device(info[2], "device");
    placement.precision = read_precision(info[3], "precision");
    auto shared = std::make_shared<SharedTranslator>(config, seed, std::move(placement));
    return make(info.Env(), std::move(shared), parameters * sizeof(float));
  });
}

Napi::Value TranslatorObject::values(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return to_array(info.Env(), live()->current()->values()); });
}

Napi::Value TranslatorObject::copy_values(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto work = [translator = live()->current()](Job&) -> MakeValue {
      auto values = std::make_shared<std::vector<float>>(translator->values());
      return [values](Napi::Env env) { return to_array(env, std::move(*values)); };
    };
    return Environment::of(info.Env()).start({}, Napi::Value(), work);
  });
}

void TranslatorObject::set_values(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const auto shared = live();
    InputReader reader;
    const auto values = reader.read<float>(info[0], "values", shared->current()->parameter_count());
    shared->set_values({values.data, values.data + values.size});
  });
}

Napi::Value TranslatorObject::assign_values(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto shared = live();
    InputReader reader;
    const auto values = reader.read<float>(info[0], "values", shared->current()->parameter_count());
    const auto work = [shared, values](Job&) -> MakeValue {
      shared->set_values({values.data, values.data + values.size});
      return [](Napi::Env env) { return env.Undefined(); };
    };
    return Environment::of(info.Env()).start(reader.finish(), Napi::Value(), work);
  });
}

namespace {

HeadTurn read_turn(InputReader& reader, const Napi::Value& value, const std::string& name, size_t count) {
  const Fields fields(value, name);
  const auto factors = reader.read<double>(fields.get("factors"), fields.path("factors"), count),
             centres = reader.read<double>(fields.get("centres"), fields.path("centres"), count);
  return {{factors.data, factors.data + count}, {centres.data, centres.data + count}};
}

}  // namespace

Napi::Value TranslatorObject::calibrate(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto shared = live();
    const TranslatorConfig& config = shared->current()->config();
    const Fields fields(info[0], "turns");
    InputReader reader;
    const HeadTurn z = read_turn(reader, fields.get("z"), fields.path("z"), config.latent);
    HeadTurn y;
    if (fields.has("y")) y = read_turn(reader, fields.get("y"), fields.path("y"), config.auxiliary);
    std::vector<float> log_stds;
    if (fields.has("logStds")) {
      const auto given = reader.read<float>(fields.get("logStds"), fields.path("logStds"), config.latent);
      log_stds.assign(given.data, given.data + given.size);
    }
    const auto work = [=](Job&) -> MakeValue {
      const auto version = shared->current();
      std::vector<float> values = version->values();
      turn_head(version->parameters(), config.rank > 0 ? "z_basis" : "z_layer", z, values);
      if (!y.factors.empty()) turn_head(version->parameters(), "y_layer", y, values);
      if (!log_stds.empty()) set_log_stds(version->parameters(), log_stds, values);
      shared->set_values(std::move(values));
      return [](Napi::Env env) { return env.Undefined(); };
    };
    return Environment::of(info.Env()).start(reader.finish(), Napi::Value(), work);
  });
}

Napi::Value TranslatorObject::forward(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto translator = live()->current();
    const TranslatorConfig& config = translator->config();
    const size_t n = read_size(info[1], "n");
    InputReader reader;
    const auto c = reader.read<float>(info[0], "c", product({n, config.condition}, "c"));
    require_memory(product({n, config.components, config.latent, sizeof(float)}, "n"), "the mixture");
    const auto work = [translator, c, n](Job& job) -> MakeValue {
      require_finite("c", c, job.token());
      auto mixture = std::make_shared<Mixture>(translator->get().forward(c.data, n));
      return [mixture](Napi::Env env) -> Napi::Value {
        Napi::Object result = Napi::Object::New(env);
        result.Set("logits", to_array(env, std::move(mixture->logits)));
        result.Set("means", to_array(env, std::move(mixture->means)));
        result.Set("stds", to_array(env, std::move(mixture->stds)));
        result.Set("y", to_array(env, std::move(mixture->y)));
        return result;
      };
    };
    return Environment::of(info.Env()).start(reader.finish(), Napi::Value(), work);
  });
}

Napi::Value TranslatorObject::log_density(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto translator = live()->current();
    const size_t n = read_size(info[2], "n");
    InputReader reader;
    const auto c = reader.read<float>(info[0], "c", product({n, translator->config().condition}, "c"));
    const auto z = reader.read<float>(info[1], "z", product({n, translator->config().latent}, "z"));
    const auto work = [translator, c, z, n](Job& job) -> MakeValue {
      require_finite("z", z, job.token());
      require_finite("c", c, job.token());
      auto densities = std::make_shared<std::vector<double>>(n);
      const TranslatorConfig& config = translator->config();
      for (size_t begin = 0; begin < n; begin += kSlice) {
        job.token().throw_if_cancelled();
        translator->get().log_density(c.data + begin * config.condition, z.data + begin * config.latent,
                                      std::min(kSlice, n - begin), densities->data() + begin);
      }
      return [densities](Napi::Env env) { return to_array(env, std::move(*densities)); };
    };
    return Environment::of(info.Env()).start(reader.finish(), Napi::Value(), work);
  });
}

Napi::Value TranslatorObject::draw(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto translator = live()->current();
    const size_t n = read_size(info[1], "n"), count = read_size(info[2], "count");
    const size_t d = translator->config().latent, m = translator->config().condition;
    const uint64_t seed = read_seed(info[3], "seed");
    InputReader reader;
    const auto c = reader.read<float>(info[0], "c", product({n, m}, "c"));
    const size_t total = product({n, count, d}, "count");
    require_memory(total * sizeof(float), "the result");
    const auto work = [=](Job& job) -> MakeValue {
      require_finite("c", c, job.token());
      auto z = std::make_shared<HostBlock>(total * sizeof(float));
      translator->get().draw(c.data, n, count, Philox(seed), z->floats(), job.token());
      return [z, total](Napi::Env env) { return to_array(env, std::move(*z), total); };
    };
    return Environment::of(info.Env()).start(reader.finish(), Napi::Value(), work);
  });
}

Napi::Value TranslatorObject::loss(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto translator = live()->current();
    const TranslatorConfig& config = translator->config();
    const size_t n = read_size(info[3], "n");
    InputReader reader;
    const auto c = reader.read<float>(info[0], "c", product({n, config.condition}, "c"));
    const auto z = reader.read<float>(info[1], "z", product({n, config.latent}, "z"));
    ArrayInput<float> y;
    if (config.auxiliary > 0) {
      y = reader.read<float>(info[2], "y", product({n, config.auxiliary}, "y"));
    } else if (!absent(info[2])) {
      throw_invalid("y", "null for a translator without an auxiliary head", info[2]);
    }
    LossOptions options;
    options.alpha = static_cast<float>(read_number(info[4], "alpha"));
    const auto work = [translator, c, z, y, n, options](Job& job) -> MakeValue {
      require_finite("z", z, job.token());
      require_finite("c", c, job.token());
      require_finite("y", y, job.token());
      auto gradients = std::make_shared<std::vector<float>>(translator->parameter_count());
      const double loss = translator->get().loss(c.data, z.data, y.data, n, options, gradients->data());
      return [loss, gradients](Napi::Env env) -> Napi::Value {
        Napi::Object result = Napi::Object::New(env);
        result.Set("loss", loss);
        result.Set("gradients", to_array(env, std::move(*gradients)));
        return result;
      };
    };
    return Environment::of(info.Env()).start(reader.finish(), Napi::Value(), work);
  });
}

}  // namespace tr0n::addon
