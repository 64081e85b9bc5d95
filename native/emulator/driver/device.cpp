#include <dlfcn.h>

#include <cstring>

#include "emulator/config.h"
#include "emulator/driver/driver.h"
#include "emulator/driver/limits.h"
#include "emulator/memory/device_memory.h"

namespace tr0n::cuda {

extern "C" {

CUresult cuInit(unsigned flags) {
  return entry("cuInit", Needs::nothing, [&] {
    if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
    if (emulator::config().devices <= 0) return CUDA_ERROR_NO_DEVICE;
    driver().initialised = true;
    return CUDA_SUCCESS;
  });
}

CUresult cuDriverGetVersion(int* version) {
  return entry("cuDriverGetVersion", Needs::nothing, [&] {
    if (version == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *version = emulator::config().driver_version;
    return CUDA_SUCCESS;
  });
}

CUresult cuGetErrorName(CUresult status, const char** name) {
  switch (static_cast<int>(status)) {
#define TR0N_CUDA_STATUS(status_name, value) \
  case value:                                \
    *name = #status_name;                    \
    return CUDA_SUCCESS;
    TR0N_CUDA_STATUSES(TR0N_CUDA_STATUS)
#undef TR0N_CUDA_STATUS
    default:
      *name = nullptr;
      return CUDA_ERROR_INVALID_VALUE;
  }
}

CUresult cuGetErrorString(CUresult status, const char** text) {
  switch (status) {
    case CUDA_SUCCESS:
      *text = "no error";
      return CUDA_SUCCESS;
    case CUDA_ERROR_OUT_OF_MEMORY:
      *text = "out of memory";
      return CUDA_SUCCESS;
    case CUDA_ERROR_ILLEGAL_ADDRESS:
      *text = "an illegal memory access was encountered (emulated)";
      return CUDA_SUCCESS;
    case CUDA_ERROR_MISALIGNED_ADDRESS:
      *text = "misaligned address (emulated)";
      return CUDA_SUCCESS;
    case CUDA_ERROR_LAUNCH_FAILED:
      *text = "unspecified launch failure (emulated)";
      return CUDA_SUCCESS;
    case CUDA_ERROR_NO_BINARY_FOR_GPU:
      *text = "no kernel image is available for execution on the device (emulated)";
      return CUDA_SUCCESS;
    default:
      return cuGetErrorName(status, text);
  }
}

CUresult cuGetProcAddress_v2(const char* symbol, void** function, int version, uint64_t,
                             CUdriverProcAddressQueryResult* found) {
  return entry("cuGetProcAddress_v2", Needs::nothing, [&] {
    if (symbol == nullptr || function == nullptr) return CUDA_ERROR_INVALID_VALUE;
    static const std::map<std::string, void*> table = {
#define TR0N_CUDA_FUNCTION(name, parameters) {#name, reinterpret_cast<void*>(&name)},
        TR0N_CUDA_FUNCTIONS(TR0N_CUDA_FUNCTION)
#undef TR0N_CUDA_FUNCTION
    };
    // By the plain name, the newest version that is here; cuGraphInstantiate's is called …WithFlags.
    *function = nullptr;
    for (const char* suffix : {"_v2", "", "WithFlags"}) {
      const auto entry_point = table.find(std::string(symbol) + suffix);
      if (entry_point == table.end()) continue;
      *function = entry_point->second;
      break;
    }
    const bool enough = version <= emulator::config().driver_version;
    if (!enough) *function = nullptr;
    if (found != nullptr)
      *found = *function != nullptr ? CU_GET_PROC_ADDRESS_SUCCESS
               : enough             ? CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND
                                    : CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT;
    return *function != nullptr || found != nullptr ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
  });
}

CUresult cuDeviceGetCount(int* count) {
  return entry("cuDeviceGetCount", Needs::initialised, [&] {
    if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *count = emulator::config().devices;
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  return entry("cuDeviceGet", Needs::initialised, [&] {
    if (device == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (!is_device(ordinal)) return CUDA_ERROR_INVALID_DEVICE;
    *device = ordinal;
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetName(char* name, int length, CUdevice device) {
  return entry("cuDeviceGetName", Needs::initialised, [&] {
    if (name == nullptr || length <= 0) return CUDA_ERROR_INVALID_VALUE;
    if (!is_device(device)) return CUDA_ERROR_INVALID_DEVICE;
    const std::string text =
        "tr0n emulator (sm_" + std::to_string(emulator::config().compute_capability) + ")";
    std::strncpy(name, text.c_str(), static_cast<size_t>(length) - 1);
    name[length - 1] = '\0';
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetUuid_v2(CUuuid* uuid, CUdevice device) {
  return entry("cuDeviceGetUuid_v2", Needs::initialised, [&] {
    if (uuid == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (!is_device(device)) return CUDA_ERROR_INVALID_DEVICE;
    std::memset(uuid->bytes, 0, sizeof uuid->bytes);
    std::memcpy(uuid->bytes, "tr0n emulator", 13);
    uuid->bytes[15] = static_cast<char>(device);
    return CUDA_SUCCESS;
  });
}

CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice device) {
  return entry("cuDeviceGetAttribute", Needs::initialised, [&] {
    if (value == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (!is_device(device)) return CUDA_ERROR_INVALID_DEVICE;
    return device_attribute(attribute, device, *value) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  });
}

CUresult cuDeviceTotalMem_v2(size_t* bytes, CUdevice device) {
  return entry("cuDeviceTotalMem_v2", Needs::initialised, [&] {
    if (bytes == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (!is_device(device)) return CUDA_ERROR_INVALID_DEVICE;
    *bytes = emulator::config().memory;
    return CUDA_SUCCESS;
  });
}

}  // extern "C"
}  // namespace tr0n::cuda
