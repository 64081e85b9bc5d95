/// CUDA as a kind of device: what the driver has, and the registration.
#include <algorithm>
#include <array>

#include "cuda/context.h"
#include "cuda/device.h"
#include "cuda/images.h"
#include "cuda/library.h"
#include "cuda/modules.h"
#include "device/registry.h"

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
  const int capability = 10 * major + minor;
  result.compute_capability = capability_text(capability);
  if (!result.problem.empty()) return result;
  if (capability < kOldestArchitecture)
    result.problem = too_old(capability);
  else if (images().count == 0)
    result.problem = std::string("this build has no CUDA kernels: ") + images().origin;
  return result;
}

/// What is embedded in this build, described, by file.
std::vector<std::pair<std::string, std::vector<std::string>>> embedded() {
  std::vector<std::pair<std::string, std::vector<std::string>>> files;
  const Images all = images();
  for (size_t i = 0; i < all.count; ++i) {
    const Image& image = all.first[i];
    const auto known =
        std::find_if(files.begin(), files.end(), [&](const auto& file) { return file.first == image.file; });
    auto& list = known == files.end() ? files.emplace_back(image.file, std::vector<std::string>()).second
                                      : known->second;
    list.push_back(describe(image));
  }
  return files;
}

Inventory look() {
  const Library& opened = library();
  Inventory result;
  result.driver = opened.path;
  result.problem = opened.problem;
  result.version = opened.version > 0 ? version_text(opened.version) : "";
  result.emulated = opened.emulated;
  result.kernels = images().origin;
  result.images = embedded();
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

class Cuda final : public DeviceKind {
 public:
  Cuda() { register_device_kind(*this); }
  const char* name() const override { return "cuda"; }
  Inventory inventory() const override { return look(); }
  std::shared_ptr<Device> open(int index) const override { return cuda_device(index); }
  int open_count() const override { return open_devices(); }
};
const Cuda kind;

}  // namespace
}  // namespace tr0n::cuda
