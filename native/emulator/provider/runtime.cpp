#include "emulator/provider/runtime.h"

namespace tr0n::provider {
namespace {

Runtime* opened = nullptr;

void discard(void*, int, const char*, const char*, const char*, const char*) {}

}  // namespace

Runtime::Runtime(void* const* table) : api(table), ep(api.GetEpApi()) {
  // There is one environment in a process: this holds on to it.
  constexpr int kFatal = 4;
  api.CreateEnvWithCustomLogger(discard, nullptr, kFatal, "tr0n-test-provider", &env);
  api.CreateCpuMemoryInfo(kDeviceAllocator, kDefaultMemory, &host);
}

void Runtime::open(void* const* table) {
  if (opened == nullptr) opened = new Runtime(table);
}

Runtime& Runtime::get() { return *opened; }

void check(Status* status) {
  if (status == nullptr) return;
  const Api& api = Runtime::get().api;
  const Failure failure(api.GetErrorMessage(status), static_cast<StatusCode>(api.GetErrorCode(status)));
  api.ReleaseStatus(status);
  throw failure;
}

std::string name_of(const ValueInfo* value) {
  if (value == nullptr) return "";
  const char* name = nullptr;
  check(Runtime::get().api.GetValueInfoName(value, &name));
  return name == nullptr ? "" : name;
}

Description describe(const Value* value) {
  const Api& api = Runtime::get().api;
  TensorInfo* info = nullptr;
  check(api.GetTensorTypeAndShape(value, &info));
  const std::unique_ptr<TensorInfo, void (*)(TensorInfo*)> owned(info, api.ReleaseTensorTypeAndShapeInfo);
  Description found;
  size_t rank = 0;
  check(api.GetTensorElementType(info, &found.type));
  check(api.GetDimensionsCount(info, &rank));
  found.shape.resize(rank);
  check(api.GetDimensions(info, found.shape.data(), rank));
  check(api.GetTensorSizeInBytes(value, &found.bytes));
  return found;
}

}  // namespace tr0n::provider
