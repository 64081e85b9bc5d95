#include "addon/model_source.h"

namespace tr0n::addon {
namespace {

/// A zero byte would end the path early, and another file be opened.
std::string read_path(const Napi::Value& value, const std::string& name) {
  std::string path = read_text(value, name);
  if (path.empty() || path.find('\0') != std::string::npos)
    throw_invalid(name, "a path", path.empty() ? "an empty string" : "a string with a zero byte");
  return path;
}

std::vector<FileWeight> read_weights(const Napi::Value& value, const std::string& name) {
  if (!value.IsArray()) throw_invalid(name, "an array", value);
  const Napi::Array list = value.As<Napi::Array>();
  std::vector<FileWeight> weights;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Fields fields(list.Get(i), name + "[" + std::to_string(i) + "]");
    FileWeight weight;
    weight.name = fields.text("name");
    weight.type = static_cast<ort::ElementType>(fields.size("elemType", 1, 16));
    if (type_size(weight.type) == 0)
      throw_invalid(fields.path("elemType"), "a type of numbers", fields.get("elemType"));
    weight.shape = read_shape(fields.get("shape"), fields.path("shape"));
    weight.file = read_path(fields.get("file"), fields.path("file"));
    weight.state = fields.text("state");
    fields.optional("offset", weight.offset, 0, size_t{1} << 50);
    fields.optional("shared", weight.shared);
    weights.push_back(std::move(weight));
  }
  return weights;
}

SessionConfig read_config(const Napi::Value& value) {
  SessionConfig config;
  if (absent(value)) return config;
  const Fields options(value, "options");
  size_t threads = 1;
  options.optional("threads", threads, 1, 1024);
  config.threads = static_cast<int>(threads);
  options.optional("name", config.name);
  options.optional("state", config.state);
  options.optional("packWeights", config.pack_weights);
  options.optional("foldWeights", config.fold_weights);
  options.optional("tf32", config.device_settings.tf32);
  options.optional("deviceMemory", config.device_settings.memory_limit, 1, size_t{1} << 50);
  if (options.has("weights")) config.weights = read_weights(options.get("weights"), options.path("weights"));
  return config;
}

}  // namespace

ModelSource ModelSource::read(const Napi::CallbackInfo& info, InputReader& reader) {
  const Napi::Value source = info[0];
  ModelSource model;
  model.config = read_config(info[1]);
  if (!absent(info[1])) Fields(info[1], "options").optional("device", model.device);
  std::string& name = model.config.name;
  if (source.IsString()) {
    model.path = read_path(source, "source");
    if (name.empty()) name = model.path;
  } else {
    napi_typedarray_type type = napi_float32_array;
    const auto bytes = [&] {
      if (!source.IsObject()) throw_invalid("source", "a path or a Uint8Array", source);
      return reader.read_any(source, "source", type, model.bytes.size, model.bytes.copy);
    }();
    if (type != napi_uint8_array) throw_invalid("source", "a path or a Uint8Array", source);
    model.bytes.data = static_cast<const uint8_t*>(bytes);
    if (name.empty()) name = "a model of " + std::to_string(model.bytes.size) + " bytes";
  }
  return model;
}

}  // namespace tr0n::addon
