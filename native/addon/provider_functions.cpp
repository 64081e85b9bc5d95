#include "addon/provider_functions.h"

#include "addon/arguments.h"
#include "addon/environment.h"
#include "addon/errors.h"
#include "bridge/ort_runtime.h"
#include "bridge/providers/cuda.h"
#include "bridge/providers/webgpu.h"
#include "bridge/session_options.h"

namespace tr0n::addon {
namespace {

Napi::Value text_or_null(Napi::Env env, const std::string& text) {
  return text.empty() ? env.Null() : Napi::String::New(env, text);
}

Napi::Object describe_webgpu(Napi::Env env, const WebGpuProvider& found) {
  Napi::Array adapters = Napi::Array::New(env);
  for (const VulkanAdapter& adapter : found.adapters) {
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("name", adapter.name);
    entry.Set("vulkan", adapter.version);
    entry.Set("software", adapter.software);
    adapters.Set(adapters.Length(), entry);
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("driver", found.driver);
  result.Set("problem", text_or_null(env, found.problem));
  result.Set("adapters", adapters);
  return result;
}

Napi::Object describe_cuda(Napi::Env env, const CudaProvider& found) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("library", found.library);
  result.Set("plugIn", found.plug_in);
  result.Set("problem", text_or_null(env, found.problem));
  return result;
}

Napi::Value model_providers(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto work = [](Job&) -> MakeValue {
      ort::Runtime::instance();
      const WebGpuProvider webgpu = webgpu_provider();
      const CudaProvider cuda = cuda_provider();
      return [webgpu, cuda](Napi::Env env) -> Napi::Value {
        Napi::Object result = Napi::Object::New(env);
        result.Set("runtime", ort::Runtime::version());
        result.Set("webgpu", describe_webgpu(env, webgpu));
        result.Set("cuda", describe_cuda(env, cuda));
        return result;
      };
    };
    return Environment::of(info.Env()).start({}, Napi::Value(), work);
  });
}

/// Resolves with why models cannot run there, null where they can.
Napi::Value try_model_device(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto work = [name = read_text(info[0], "device")](Job& job) -> MakeValue {
      std::string problem;
      try {
        SessionConfig config;
        config.name = name;
        config.cancel = &job.token();
        config.device = open_model_device(name);
        const PreparedOptions options(config);
      } catch (const Error& error) {
        if (error.code() != "ERR_DEVICE_UNAVAILABLE") throw;
        problem = error.what();
      }
      return [problem](Napi::Env env) -> Napi::Value { return text_or_null(env, problem); };
    };
    return Environment::of(info.Env()).start({}, Napi::Value(), work);
  });
}

}  // namespace

void define_provider_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("modelProviders", Napi::Function::New<model_providers>(env, "modelProviders"));
  exports.Set("tryModelDevice", Napi::Function::New<try_model_device>(env, "tryModelDevice"));
}

}  // namespace tr0n::addon
