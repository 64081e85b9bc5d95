#include "addon/config_fields.h"

#include <cmath>

#include "addon/errors.h"
#include "core/prior/fields.h"
#include "core/training/config.h"
#include "core/translator/config.h"

namespace tr0n::addon {
namespace {

/// The float that a default was written as, in as few digits as give it again.
double shortest(float value) { return std::strtod(std::to_string(value).c_str(), nullptr); }

template <class Value>
void describe_value(Napi::Object& entry, const Field& field, const Value& value) {
  const Napi::Env env = entry.Env();
  if constexpr (std::is_same_v<Value, bool>) {
    entry.Set("type", "boolean");
    entry.Set("default", Napi::Boolean::New(env, value));
  } else if constexpr (std::is_arithmetic_v<Value>) {
    if (field.seed) {
      entry.Set("type", "seed");
      return;
    }
    entry.Set("type", std::is_floating_point_v<Value> ? "number" : "integer");
    double number = static_cast<double>(value);
    if constexpr (std::is_same_v<Value, float>) number = shortest(value);
    entry.Set("default", number);
    if (std::isfinite(field.minimum))
      entry.Set(field.exclusive_minimum ? "exclusiveMinimum" : "minimum", field.minimum);
    if (std::isfinite(field.maximum))
      entry.Set(field.exclusive_maximum ? "exclusiveMaximum" : "maximum", field.maximum);
    if (field.has_automatic) entry.Set("automatic", field.automatic_value);
  } else {
    entry.Set("type", "choice");
    Napi::Array choices = Napi::Array::New(env);
    for (const auto& [name, choice] : Names<Value>::all) {
      choices.Set(choices.Length(), name);
      if (choice == value) entry.Set("default", name);
    }
    entry.Set("choices", choices);
  }
}

template <class Config, class Description = Config>
void describe(Napi::Array& list, const char* name) {
  const Config config{};
  Description::fields(config, [&](const auto& value, const Field& field) {
    Napi::Object entry = Napi::Object::New(list.Env());
    entry.Set("struct", name);
    entry.Set("name", field.key);
    entry.Set("required", Napi::Boolean::New(list.Env(), field.required));
    if (*field.unit != 0) entry.Set("unit", field.unit);
    describe_value(entry, field, value);
    if (field.required) entry.Delete("default");
    list.Set(list.Length(), entry);
  });
}

}  // namespace

void read_value(const Fields& fields, const char* key, Adapt& value) {
  const Napi::Value given = fields.get(key);
  if (given.IsBoolean())
    value = given.As<Napi::Boolean>().Value() ? Adapt::chain : Adapt::none;
  else
    value = fields.choice<Adapt>(key, {{"pilot", Adapt::pilot}});
}

Napi::Value config_fields(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    Napi::Array list = Napi::Array::New(info.Env());
    describe<TranslatorConfig>(list, "translator");
    describe<TrainerConfig>(list, "trainer");
    describe<SamplerConfig>(list, "sampler");
    describe<UpdateGroup>(list, "updateGroup");
    describe<Prior, PriorFields>(list, "prior");
    return list;
  });
}

}  // namespace tr0n::addon
