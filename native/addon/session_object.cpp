#include "addon/session_object.h"

#include "addon/model_source.h"
#include "addon/model_values.h"
#include "bridge/model_scan.h"
#include "bridge/opened_file.h"
#include "bridge/session_assignment.h"
#include "bridge/session_options.h"

namespace tr0n::addon {
Napi::Function SessionObject::define(Napi::Env env) {
  return DefineClass(env, "NativeSession",
                     {InstanceMethod<&SessionObject::run>("run", napi_enumerable),
                      InstanceMethod<&SessionObject::assigned>("assigned", napi_enumerable),
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
    const auto work = [source](Job& job) -> MakeValue {
      SessionConfig config = source.config;
      config.cancel = &job.token();
      if (!source.device.empty()) config.device = open_model_device(source.device);
      auto session = std::make_shared<CountedSession>(
          source.path.empty() ? Session::from_bytes(source.bytes.data, source.bytes.size, config)
                              : Session::from_file(source.path, config));
      return [session](Napi::Env env) -> Napi::Value {
        return make(env, session, session->session.model_bytes());
      };
    };
    return Environment::of(info.Env()).start(reader.finish(), Napi::Value(), work);
  });
}

Napi::Value SessionObject::has_external_data(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    InputReader reader;
    const ModelSource source = ModelSource::read(info, reader);
    const auto work = [source](Job&) -> MakeValue {
      const SessionConfig& config = source.config;
      const bool found =
          source.path.empty()
              ? external_constant(memory_bytes(source.bytes.data, source.bytes.size), config.name).has_value()
              : external_constant(file_bytes(OpenedFile(
                                      source.path, model_file_name(source.path, config.name), config.state)),
                                  config.name)
                    .has_value();
      return [found](Napi::Env env) { return Napi::Boolean::New(env, found); };
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
    InputCopies copies;
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
        for (size_t i = 0; i < outputs.size(); ++i)
          result.Set(outputs[i], to_tensor(env, std::move((*values)[i])));
        return result;
      };
    };
    return Environment::of(info.Env()).start(reader.finish(), Napi::Value(), work);
  });
}

Napi::Value SessionObject::assigned(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    const auto counted = live();
    const auto nodes = assignment(counted->session);
    if (!nodes) return env.Null();
    const Napi::Array result = Napi::Array::New(env, nodes->size());
    for (size_t i = 0; i < nodes->size(); ++i) {
      const AssignedNode& node = (*nodes)[i];
      const Napi::Object entry = Napi::Object::New(env);
      entry.Set("provider", node.provider);
      entry.Set("name", node.name);
      entry.Set("domain", node.domain);
      entry.Set("opType", node.op_type);
      result.Set(static_cast<uint32_t>(i), entry);
    }
    return result;
  });
}

}  // namespace tr0n::addon
