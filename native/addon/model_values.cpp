#include "addon/model_values.h"

#include "addon/results.h"

namespace tr0n::addon {

Napi::Value describe_values(Napi::Env env, const std::vector<ValueInfo>& values) {
  Napi::Array list = Napi::Array::New(env, values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const ValueInfo& value = values[i];
    Napi::Array shape = Napi::Array::New(env, value.shape.size());
    Napi::Array symbols = Napi::Array::New(env, value.shape.size());
    for (uint32_t axis = 0; axis < value.shape.size(); ++axis) {
      const bool fixed = value.shape[axis] >= 0;
      shape.Set(axis, fixed ? Napi::Value(Napi::Number::New(env, static_cast<double>(value.shape[axis])))
                            : env.Null());
      symbols.Set(axis, value.symbols[axis].empty()
                            ? env.Null()
                            : Napi::Value(Napi::String::New(env, value.symbols[axis])));
    }
    Napi::Object object = Napi::Object::New(env);
    object.Set("name", value.name);
    object.Set("shape", shape);
    object.Set("symbols", symbols);
    object.Set("type", value.tensor ? type_name(value.type) : "not a tensor");
    list.Set(static_cast<uint32_t>(i), object);
  }
  return list;
}

TensorView read_tensor(InputReader& reader, const Napi::Value& value, const std::string& name,
                       InputCopies& copies) {
  const Fields fields(value, name);
  TensorView tensor;
  tensor.shape = read_shape(fields.get("shape"), fields.path("shape"));
  napi_typedarray_type type{};
  size_t count = 0;
  ArrayCopy copy;
  tensor.data = reader.read_any(fields.get("data"), fields.path("data"), type, count, copy);
  if (copy) copies.push_back(std::move(copy));
  tensor.type = element_type(type);
  const size_t expected = element_count(tensor.shape);
  if (count != expected)
    throw_invalid(fields.path("data"),
                  std::to_string(expected) + " elements for shape " + shape_text(tensor.shape),
                  std::to_string(count));
  return tensor;
}

Napi::Object to_tensor(Napi::Env env, TensorValue value) {
  const size_t count = element_count(value.shape);
  Napi::Object tensor = Napi::Object::New(env);
  tensor.Set("shape", to_shape(env, value.shape));
  tensor.Set("data", to_array(env, std::move(value.data), count, array_type(value.type)));
  return tensor;
}

}  // namespace tr0n::addon
