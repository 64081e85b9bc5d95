#include "addon/process_functions.h"

#include <dlfcn.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "addon/arguments.h"
#include "addon/counters.h"
#include "addon/environment.h"
#include "addon/errors.h"
#include "addon/results.h"
#include "base/rng.h"
#include "base/thread_pool.h"
#include "bridge/model_device.h"
#include "bridge/ort_runtime.h"
#include "bridge/placed_tensor.h"
#include "bridge/torch_runtime.h"
#include "bridge/value_pool.h"
#include "bridge/weight_file.h"
#include "device/registry.h"

namespace tr0n::addon {
namespace {

void set_onnx_runtime(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const std::string path = read_text(info[0], "path");
    if (path.empty()) throw_invalid("path", "the path of a library", info[0]);
    ort::Runtime::set_library(path);
  });
}

Napi::Value onnx_runtime_version(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::string version = ort::Runtime::version();
    if (version.empty()) return info.Env().Null();
    return Napi::String::New(info.Env(), version);
  });
}

void set_torch_module(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const std::string path = read_text(info[0], "path");
    if (path.empty()) throw_invalid("path", "the path of a library", info[0]);
    TorchRuntime::set_module(path);
  });
}

Napi::Value torch_version(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::string version = TorchRuntime::version();
    if (version.empty()) return info.Env().Null();
    return Napi::String::New(info.Env(), version);
  });
}

/// A job that opens a runtime and resolves with its version.
template <std::string (*Open)()>
Napi::Value open_runtime(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto work = [](Job&) -> MakeValue {
      return [version = Open()](Napi::Env env) { return Napi::String::New(env, version); };
    };
    return Environment::of(info.Env()).start({}, Napi::Value(), work);
  });
}

std::string open_onnx_runtime() {
  ort::Runtime::instance();
  return ort::Runtime::version();
}

std::string open_torch() {
  TorchRuntime::instance();
  return TorchRuntime::version();
}

Napi::Value threads(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::Number::New(info.Env(), static_cast<double>(ThreadPool::instance().size()));
  });
}

void set_threads(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] { ThreadPool::instance().resize(read_size(info[0], "count", 1, 1024)); });
}

Napi::Value counters(const Napi::CallbackInfo& info) {
  Napi::Object object = Napi::Object::New(info.Env());
  const std::pair<const char*, Kind> kinds[] = {
      {"sessions", Kind::session}, {"translators", Kind::translator},
      {"trainers", Kind::trainer}, {"objectives", Kind::objective},
      {"rowMaps", Kind::row_map},  {"torchModels", Kind::torch_model},
      {"devices", Kind::device},   {"jobs", Kind::job}};
  for (const auto& [name, kind] : kinds) object.Set(name, live_count(kind).load());
  int open = 0;
  for (const DeviceKind* kind : device_kinds()) open += kind->open_count();
  object.Set("openGpus", open);
  object.Set("runtimeDevices", open_runtime_devices());
  return object;
}

Napi::Value crossed_bytes(const Napi::CallbackInfo& info) {
  const Crossings bytes = crossings();
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("toDevice", static_cast<double>(bytes.to_device));
  object.Set("toHost", static_cast<double>(bytes.to_host));
  return object;
}

Napi::Value model_memory(const Napi::CallbackInfo& info) {
  ValuePool& pool = ValuePool::instance();
  const ValuePool::Bytes bytes = pool.bytes();
  if (!absent(info[0]) && read_boolean(info[0], "restart")) pool.restart();
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("live", static_cast<double>(bytes.live));
  object.Set("held", static_cast<double>(bytes.held));
  object.Set("most", static_cast<double>(bytes.most));
  object.Set("weights", static_cast<double>(resident_weight_bytes()));
  return object;
}

/// Gives freed memory back to the system where the allocator can.
void prepare_exit(const Napi::CallbackInfo&) { TorchRuntime::prepare_exit(); }

void trim(const Napi::CallbackInfo&) {
  TorchRuntime::trim();
  ValuePool::instance().trim_all();
}

void set_external_memory(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] { allow_external_memory(read_boolean(info[0], "allowed")); });
}

template <size_t N>
std::array<uint32_t, N> read_words(const Napi::Value& value, const std::string& name) {
  std::array<uint32_t, N> words{};
  if (!value.IsArray() || value.As<Napi::Array>().Length() != N)
    throw_invalid(name, "an array of " + std::to_string(N) + " integers", value);
  for (uint32_t i = 0; i < N; ++i)
    words[i] = static_cast<uint32_t>(
        read_size(value.As<Napi::Array>().Get(i), name + "[" + std::to_string(i) + "]", 0, 0xffffffff));
  return words;
}

Napi::Value philox(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto bits = Philox::block(read_words<4>(info[0], "counter"), read_words<2>(info[1], "key"));
    Napi::Array result = Napi::Array::New(info.Env(), 4);
    for (uint32_t i = 0; i < 4; ++i) result.Set(i, static_cast<double>(bits[i]));
    return result;
  });
}

}  // namespace

void define_process_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("setOnnxRuntime", Napi::Function::New<set_onnx_runtime>(env, "setOnnxRuntime"));
  exports.Set("onnxRuntimeVersion", Napi::Function::New<onnx_runtime_version>(env, "onnxRuntimeVersion"));
  exports.Set("setTorchModule", Napi::Function::New<set_torch_module>(env, "setTorchModule"));
  exports.Set("torchVersion", Napi::Function::New<torch_version>(env, "torchVersion"));
  exports.Set("openOnnxRuntime",
              Napi::Function::New<open_runtime<open_onnx_runtime>>(env, "openOnnxRuntime"));
  exports.Set("openTorch", Napi::Function::New<open_runtime<open_torch>>(env, "openTorch"));
  exports.Set("threads", Napi::Function::New<threads>(env, "threads"));
  exports.Set("setThreads", Napi::Function::New<set_threads>(env, "setThreads"));
  exports.Set("counters", Napi::Function::New<counters>(env, "counters"));
  exports.Set("crossings", Napi::Function::New<crossed_bytes>(env, "crossings"));
  exports.Set("modelMemory", Napi::Function::New<model_memory>(env, "modelMemory"));
  exports.Set("trim", Napi::Function::New<trim>(env, "trim"));
  exports.Set("prepareExit", Napi::Function::New<prepare_exit>(env, "prepareExit"));
  exports.Set("setExternalMemory", Napi::Function::New<set_external_memory>(env, "setExternalMemory"));
  exports.Set("philox", Napi::Function::New<philox>(env, "philox"));
}

void pin_library() {
  Dl_info self{};
  if (dladdr(reinterpret_cast<void*>(&pin_library), &self) != 0 && self.dli_fname)
    dlopen(self.dli_fname, RTLD_NOW | RTLD_NODELETE);
}

}  // namespace tr0n::addon
