#include "cuda/inventory.h"

#include <algorithm>
#include <array>

#include "cuda/context.h"
#include "cuda/images.h"

namespace tr0n::cuda {
namespace {

DeviceSummary summary(const DriverApi& api, int index) {
  DeviceSummary result;
  result.index = index;
  CUdevice device = 0;
  std::array<char, 256> name{};
  size_t bytes = 0;
  int major = 0, minor = 0;
  const auto tried = [&](CUresult status, const char* call) {
    if (status != CUDA_SUCCESS && result.problem.empty())
      result.problem = make_error(api, status, "cuda:" + std::to_string(index), call, "").what();
  };
  tried(api.cuDeviceGet(&device, index), "cuDeviceGet");
  tried(api.cuDeviceGetName(name.data(), static_cast<int>(name.size() - 1), device), "cuDeviceGetName");
  tried(api.cuDeviceTotalMem_v2(&bytes, device), "cuDeviceTotalMem");
  tried(api.cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device),
        "cuDeviceGetAttribute");
  tried(api.cuDeviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device),
        "cuDeviceGetAttribute");
  tried(api.cuDeviceGetAttribute(&result.multiprocessors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, device),
        "cuDeviceGetAttribute");
  result.name = name.data();
  result.memory = bytes;
  result.compute_capability = 10 * major + minor;
  if (!result.problem.empty()) return result;
  if (result.compute_capability < kOldestArchitecture)
    result.problem = too_old(result.compute_capability);
  else if (images().count == 0)
    result.problem = std::string("this build has no CUDA kernels: ") + images().origin;
  return result;
}

/// The first device that can be used; -1 and why there is none.
int first_usable(const Inventory& found, std::string& why) {
  why = found.problem;
  for (const DeviceSummary& device : found.devices) {
    if (device.problem.empty()) return device.index;
    why += (why.empty() ? "" : "; ") + ("cuda:" + std::to_string(device.index)) + " (" + device.name +
           "): " + device.problem;
  }
  return -1;
}

}  // namespace

Inventory inventory() {
  const Library& opened = library();
  Inventory result;
  result.driver = opened.path;
  result.problem = opened.problem;
  result.version = opened.version;
  result.emulated = opened.emulated;
  if (!opened.usable) return result;
  CUresult status = opened.api.cuInit(0);
  int count = 0;
  const char* call = "cuInit";
  if (status == CUDA_SUCCESS) {
    call = "cuDeviceGetCount";
    status = opened.api.cuDeviceGetCount(&count);
  }
  if (status != CUDA_SUCCESS)
    result.problem = make_error(opened.api, status, opened.path, call, "").what();
  else if (count == 0)
    result.problem = opened.path + " has no device";
  for (int index = 0; index < count; ++index) result.devices.push_back(summary(opened.api, index));
  return result;
}

std::string resolve_device(const std::string& name) {
  if (name == "cpu") return name;
  const std::string prefix = "cuda:";
  const bool numbered = name.compare(0, prefix.size(), prefix) == 0 && name.size() > prefix.size() &&
                        name.size() < prefix.size() + 6 &&
                        std::all_of(name.begin() + static_cast<std::ptrdiff_t>(prefix.size()), name.end(),
                                    [](char c) { return c >= '0' && c <= '9'; });
  if (name != "auto" && name != "cuda" && !numbered)
    throw Error("ERR_INVALID_ARGUMENT",
                "device: expected \"auto\", \"cpu\", \"cuda\" or \"cuda:N\", got \"" + name + "\"");
  const Inventory found = inventory();
  std::string why;
  if (!numbered) {
    const int index = first_usable(found, why);
    if (name == "auto" && (index < 0 || found.emulated)) return "cpu";
    if (index >= 0) return prefix + std::to_string(index);
    throw Error("ERR_DEVICE_UNAVAILABLE", "\"cuda\" cannot be used: " + why);
  }
  const int index = std::stoi(name.substr(prefix.size()));
  if (!found.problem.empty())
    why = found.problem;
  else if (static_cast<size_t>(index) >= found.devices.size())
    why = "expected a device from cuda:0 to cuda:" + std::to_string(found.devices.size() - 1);
  else
    why = found.devices[static_cast<size_t>(index)].problem;
  if (!why.empty()) throw Error("ERR_DEVICE_UNAVAILABLE", "\"" + name + "\" cannot be used: " + why);
  return prefix + std::to_string(index);
}

}  // namespace tr0n::cuda
