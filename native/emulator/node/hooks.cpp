#include <node_api.h>

#include <string>

#include "cuda/driver_api.h"
#include "emulator/emulator.h"
#include "emulator/provider/provider.h"

namespace tr0n::cuda {
extern "C" {
CUresult cuInit(unsigned flags);
CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device);
CUresult cuCtxPushCurrent_v2(CUcontext context);
CUresult cuMemAlloc_v2(CUdeviceptr* pointer, size_t bytes);
}
}  // namespace tr0n::cuda

// The emulator's own functions for tests in Node: a module beside the driver, so that the addon has none of
// this.
namespace {

/// The arguments of a call, read as they come. Tests call these with what they take.
class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info) : env_(env) {
    size_t count = 4;
    napi_get_cb_info(env, info, &count, values_, nullptr, nullptr);
  }
  std::string text(size_t index) const {
    char buffer[256] = {};
    size_t length = 0;
    napi_get_value_string_utf8(env_, values_[index], buffer, sizeof buffer, &length);
    return {buffer, length};
  }
  int64_t number(size_t index) const {
    int64_t value = 0;
    napi_get_value_int64(env_, values_[index], &value);
    return value;
  }

 private:
  napi_env env_;
  napi_value values_[4] = {};
};

napi_value to_js(napi_env env, const char* text) {
  napi_value value = nullptr;
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value);
  return value;
}
napi_value to_js(napi_env env, uint64_t number) {
  napi_value value = nullptr;
  napi_create_double(env, static_cast<double>(number), &value);
  return value;
}

napi_value report(napi_env env, napi_callback_info) { return to_js(env, tr0n_emulator_report()); }
napi_value traffic(napi_env env, napi_callback_info) { return to_js(env, tr0n_emulator_traffic()); }
napi_value counters(napi_env env, napi_callback_info) { return to_js(env, tr0n_emulator_counters()); }
napi_value violations(napi_env env, napi_callback_info) { return to_js(env, tr0n_emulator_violations()); }
napi_value leaks(napi_env env, napi_callback_info) { return to_js(env, tr0n_emulator_leaks()); }
napi_value calls(napi_env env, napi_callback_info info) {
  return to_js(env, tr0n_emulator_calls(Arguments(env, info).text(0).c_str()));
}
napi_value reset(napi_env, napi_callback_info) {
  tr0n_emulator_reset();
  return nullptr;
}
napi_value fail(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  tr0n_emulator_fail(arguments.text(0).c_str(), static_cast<uint64_t>(arguments.number(1)),
                     static_cast<int>(arguments.number(2)), static_cast<int>(arguments.number(3)));
  return nullptr;
}
napi_value fail_none(napi_env, napi_callback_info) {
  tr0n_emulator_fail_none();
  return nullptr;
}
napi_value plant(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  return to_js(env, static_cast<uint64_t>(tr0n_test_provider_plant(arguments.text(0).c_str(),
                                                                   static_cast<int>(arguments.number(1)))));
}
napi_value provider(napi_env env, napi_callback_info) { return to_js(env, tr0n_test_provider_statistics()); }
/// Reads memory of a GPU as the host's own: no process outlives it.
napi_value read_as_host(napi_env env, napi_callback_info) {
  using namespace tr0n::cuda;
  CUcontext context = nullptr;
  CUdeviceptr pointer = 0;
  if (cuInit(0) != CUDA_SUCCESS || cuDevicePrimaryCtxRetain(&context, 0) != CUDA_SUCCESS ||
      cuCtxPushCurrent_v2(context) != CUDA_SUCCESS || cuMemAlloc_v2(&pointer, 64) != CUDA_SUCCESS)
    return nullptr;
  return to_js(env, uint64_t{*reinterpret_cast<const volatile unsigned char*>(pointer)});
}
napi_value configure(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  return to_js(
      env, static_cast<uint64_t>(tr0n_emulator_configure(arguments.text(0).c_str(), arguments.number(1))));
}

}  // namespace

NAPI_MODULE_INIT() {
  const napi_property_descriptor functions[] = {
      {"report", nullptr, report, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"traffic", nullptr, traffic, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"counters", nullptr, counters, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"violations", nullptr, violations, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"leaks", nullptr, leaks, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"calls", nullptr, calls, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"reset", nullptr, reset, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"fail", nullptr, fail, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"failNone", nullptr, fail_none, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"plant", nullptr, plant, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"provider", nullptr, provider, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"readAsHost", nullptr, read_as_host, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"configure", nullptr, configure, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
  };
  napi_define_properties(env, exports, sizeof functions / sizeof *functions, functions);
  return exports;
}
