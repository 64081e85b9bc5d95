#pragma once
#include <napi.h>

#include <type_traits>

#include "addon/arguments.h"
#include "base/fields.h"
#include "core/sampling/config.h"

/// Configurations by the descriptions of their fields (base/fields.h).
namespace tr0n::addon {

template <class Choice>
void read_value(const Fields& fields, const char* key, Choice& value) {
  value = fields.choice<Choice>(key, Names<Choice>::all);
}
/// true, false or "pilot".
void read_value(const Fields& fields, const char* key, Adapt& value);

/// A value as its description says; left as it is where the field is absent and not needed.
template <class Value>
void read_field(const Fields& fields, const Field& field, Value& value) {
  const char* key = field.key;
  if (!field.required && !fields.has(key)) return;
  if constexpr (std::is_same_v<Value, bool>) {
    value = read_boolean(fields.get(key), fields.path(key));
  } else if constexpr (std::is_floating_point_v<Value>) {
    value = static_cast<Value>(read_number(fields.get(key), fields.path(key)));
  } else if constexpr (std::is_unsigned_v<Value>) {
    const double most = field.maximum == Field::kInfinity ? static_cast<double>(kMostRows) : field.maximum;
    value = field.seed ? read_seed(fields.get(key), fields.path(key))
                       : fields.size(key, static_cast<size_t>(field.minimum), static_cast<size_t>(most));
  } else {
    read_value(fields, key, value);
  }
}

/// What `Description` tells of a Config.
template <class Config, class Description = Config>
Config read_config(const Fields& fields) {
  Config config;
  Description::fields(config, [&](auto& value, const Field& field) { read_field(fields, field, value); });
  return config;
}

/// [{ struct, name, type, required, minimum?, exclusiveMinimum?, maximum?, exclusiveMaximum?, automatic?,
/// unit?, choices?, default }] of every configuration.
Napi::Value config_fields(const Napi::CallbackInfo& info);

}  // namespace tr0n::addon
