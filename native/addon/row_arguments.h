#pragma once
#include <functional>
#include <memory>
#include <utility>

#include "addon/native_object.h"
#include "addon/results.h"

/// What functions over rows of numbers share: arrays of doubles, arrays that are written to, and jobs.
namespace tr0n::addon {

template <>
inline napi_typedarray_type InputReader::type_of<double>() {
  return napi_float64_array;
}

/// An array that a job writes to: one that nobody else has.
inline float* writable(const ArrayInput<float>& input, const std::string& name) {
  if (input.copy) throw Error("ERR_INVALID_ARGUMENT", name + ": expected { owned: Float32Array }");
  return const_cast<float*>(input.data);
}

/// A typed array of any length.
template <class T>
ArrayInput<T> read_all(InputReader& reader, const Napi::Value& value, const std::string& name) {
  const Napi::Value array = value.IsObject() && value.As<Napi::Object>().Has("owned")
                                ? value.As<Napi::Object>().Get("owned")
                                : value;
  if (!array.IsTypedArray()) throw_invalid(name, "a typed array", value);
  return reader.read<T>(value, name, array.As<Napi::TypedArray>().ElementLength());
}

/// Starts a job whose work returns a MakeValue.
template <class Work>
Napi::Value start_job(const Napi::CallbackInfo& info, InputReader& reader, Work work) {
  return Environment::of(info.Env()).start(reader.finish(), Napi::Value(), std::move(work));
}

inline MakeValue number_value(double value) {
  return [value](Napi::Env env) -> Napi::Value { return Napi::Number::New(env, value); };
}

template <class T>
MakeValue array_value(std::vector<T> values) {
  const auto shared = std::make_shared<std::vector<T>>(std::move(values));
  return [shared](Napi::Env env) { return to_array(env, std::move(*shared)); };
}

inline MakeValue floats_value(HostBlock block) {
  const auto shared = std::make_shared<HostBlock>(std::move(block));
  return [shared](Napi::Env env) {
    const size_t count = shared->bytes() / sizeof(float);
    return to_array(env, std::move(*shared), count);
  };
}

}  // namespace tr0n::addon
