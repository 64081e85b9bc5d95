#include "addon/session_object.h"

#include "addon/model_source.h"
#include "addon/results.h"

namespace tr0n::addon {
namespace {

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

/// A NativeTensor as the session sees it.
TensorView read_tensor(InputReader& reader, const Napi::Value& value, const std::string& name,
                       std::vector<std::shared_ptr<std::vector<uint8_t>>>& copies) {
  const Fields fields(value, name);
  TensorView tensor;
  tensor.shape = read_shape(fields.get("shape"), fields.path("shape"));
  napi_typedarray_type type{};
  size_t count = 0;
  std::shared_ptr<std::vector<uint8_t>> copy;
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

}  // namespace

Napi::Function SessionObject::define(Napi::Env env) {
  return DefineClass(env, "NativeSession",
                     {InstanceMethod<&SessionObject::run>("run", napi_enumerable),
                      InstanceMethod<&SessionObject::dispose_it>("dispose", napi_enumerable)});
}

SessionObject::SessionObject(const Napi::CallbackInfo& info) : NativeObject(info) {
  Napi::Object self = info.This().As<Napi::Object>();
  const Session& session = live()->session;
  self.Set("inputs", describe_values(info.Env(), session.inputs()));
  self.Set("outputs", describe_values(info.Env(), session.outputs()));
}

std::shared_ptr<const Session> SessionObject::session_from(const Napi::Value& value,
                                                           const std::string& name) {
  const std::shared_ptr<CountedSession> counted = from(value, name);
  return {counted, &counted->session};
}

Napi::Value SessionObject::open(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    InputReader reader;
    const ModelSource source = ModelSource::read(info, reader);
    const auto work = [source](Job&) -> MakeValue {
      auto session = std::make_shared<CountedSession>(
          source.path.empty() ? Session::from_bytes(source.bytes.data, source.bytes.size, source.config)
                              : Session::from_file(source.path, source.config));
      return [session](Napi::Env env) -> Napi::Value {
        return make(env, session, session->session.model_bytes());
      };
    };
    return Environment::of(info.Env()).start(reader.finish(), Napi::Value(), work);
  });
}

Napi::Value SessionObject::run(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto counted = live();
    const Napi::Object given = read_object(info[0], "inputs");
    InputReader reader;
    Session::Inputs inputs;
    std::vector<std::shared_ptr<std::vector<uint8_t>>> copies;
    const Napi::Array names = given.GetPropertyNames();
    for (uint32_t i = 0; i < names.Length(); ++i) {
      const std::string name = names.Get(i).ToString().Utf8Value();
      counted->session.input(name);  // an unknown name is the better complaint
      inputs.emplace_back(name, read_tensor(reader, given.Get(name), "inputs." + name, copies));
    }
    std::vector<std::string> outputs;
    if (absent(info[1])) {
      for (const ValueInfo& output : counted->session.outputs()) outputs.push_back(output.name);
    } else {
      outputs = read_texts(info[1], "outputs");
      if (outputs.empty()) throw_invalid("outputs", "at least one name", info[1]);
    }
    counted->session.check(inputs, outputs);
    const auto work = [counted, inputs, outputs, copies](Job& job) -> MakeValue {
      auto values =
          std::make_shared<std::vector<TensorValue>>(counted->session.run(inputs, outputs, job.token()));
      return [values, outputs](Napi::Env env) -> Napi::Value {
        Napi::Object result = Napi::Object::New(env);
        for (size_t i = 0; i < outputs.size(); ++i) {
          TensorValue& value = (*values)[i];
          Napi::Object tensor = Napi::Object::New(env);
          tensor.Set("data", to_array(env, std::move(value.data), element_count(value.shape),
                                      array_type(value.type)));
          tensor.Set("shape", to_shape(env, value.shape));
          result.Set(outputs[i], tensor);
        }
        return result;
      };
    };
    return Environment::of(info.Env()).start(reader.finish(), Napi::Value(), work);
  });
}

}  // namespace tr0n::addon
