#include "cuda/library.h"

#include <dlfcn.h>

#include <cstdlib>
#include <memory>
#include <mutex>
#include <vector>

#include "base/error.h"

namespace tr0n::cuda {
namespace {

std::string last_problem() {
  const char* text = dlerror();
  return text == nullptr ? "unknown reason" : text;
}

/// Whatever has the functions: fills in the version, and whether that is enough.
void judge(Library& library) {
  if (library.api.cuDriverGetVersion == nullptr ||
      library.api.cuDriverGetVersion(&library.version) != CUDA_SUCCESS)
    library.version = 0;
  std::string missing;
#define TR0N_CUDA_FUNCTION(name, parameters) \
  if (library.api.name == nullptr && needed(#name)) missing += missing.empty() ? #name : ", " #name;
  TR0N_CUDA_FUNCTIONS(TR0N_CUDA_FUNCTION)
#undef TR0N_CUDA_FUNCTION
  if (library.version < kOldestDriver)
    library.problem = library.path + " is a driver for CUDA " + version_text(library.version) +
                      "; expected " + version_text(kOldestDriver) +
                      " or newer: install a newer NVIDIA driver";
  else if (!missing.empty())
    library.problem = library.path + " (CUDA " + version_text(library.version) + ") lacks " + missing;
  library.usable = library.problem.empty();
}

std::unique_ptr<Library> open() {
  auto result = std::make_unique<Library>();
  const char* named = std::getenv("TR0N_CUDA_DRIVER");
  const bool chosen = named != nullptr && *named != '\0';
  result->path = chosen ? named : "libcuda.so.1";
  void* handle = dlopen(result->path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    result->problem = "the CUDA driver cannot be opened: " + last_problem() +
                      (chosen ? " (named by TR0N_CUDA_DRIVER)"
                              : "; it comes with NVIDIA's display driver (TR0N_CUDA_DRIVER names another)");
    return result;
  }
#define TR0N_CUDA_FUNCTION(name, parameters) \
  result->api.name = reinterpret_cast<name##_t>(dlsym(handle, #name));
  TR0N_CUDA_FUNCTIONS(TR0N_CUDA_FUNCTION)
#undef TR0N_CUDA_FUNCTION
  result->emulated = dlsym(handle, "tr0n_emulator_report") != nullptr;
  judge(*result);
  return result;
}

std::mutex mutex;
const Library* opened = nullptr;  // never freed: jobs may outlive static destruction

}  // namespace

bool needed(std::string_view function) {
  for (const char* name : {"cuInit",
                           "cuDriverGetVersion",
                           "cuGetErrorName",
                           "cuGetErrorString",
                           "cuDeviceGetCount",
                           "cuDeviceGet",
                           "cuDeviceGetName",
                           "cuDeviceGetAttribute",
                           "cuDeviceTotalMem_v2",
                           "cuDevicePrimaryCtxRetain",
                           "cuDevicePrimaryCtxRelease_v2",
                           "cuCtxPushCurrent_v2",
                           "cuCtxPopCurrent_v2",
                           "cuMemGetInfo_v2",
                           "cuMemAlloc_v2",
                           "cuMemFree_v2",
                           "cuMemHostAlloc",
                           "cuMemFreeHost",
                           "cuMemcpyHtoDAsync_v2",
                           "cuMemcpyDtoHAsync_v2",
                           "cuMemcpyDtoDAsync_v2",
                           "cuMemsetD8Async",
                           "cuStreamCreate",
                           "cuStreamDestroy_v2",
                           "cuStreamSynchronize",
                           "cuStreamBeginCapture_v2",
                           "cuStreamEndCapture",
                           "cuEventCreate",
                           "cuEventDestroy_v2",
                           "cuEventRecord",
                           "cuEventSynchronize",
                           "cuModuleLoadDataEx",
                           "cuModuleUnload",
                           "cuModuleGetFunction",
                           "cuFuncGetAttribute",
                           "cuFuncSetAttribute",
                           "cuOccupancyMaxActiveBlocksPerMultiprocessor",
                           "cuLaunchKernel",
                           "cuGraphLaunch",
                           "cuGraphExecDestroy",
                           "cuGraphDestroy"})
    if (function == name) return true;
  return false;
}

const Library& library() {
  const std::lock_guard lock(mutex);
  if (opened == nullptr) opened = open().release();
  return *opened;
}

const DriverApi& driver_api() {
  const Library& found = library();
  if (!found.usable) throw Error("ERR_DEVICE_UNAVAILABLE", found.problem);
  return found.api;
}

void inject(const DriverApi& api) {
  auto given = std::make_unique<Library>();
  given->path = "the injected driver";
  given->api = api;
  judge(*given);
  const std::lock_guard lock(mutex);
  given->emulated = opened != nullptr && opened->emulated;
  opened = given.release();
}

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

}  // namespace tr0n::cuda
