#pragma once
#include <memory>
#include <string>
#include <vector>

#include "bridge/model_device.h"
#include "bridge/providers/vulkan.h"

namespace tr0n {

/// The GPU that ONNX Runtime's WebGPU provider computes on, whatever its vendor. Throws
/// ERR_DEVICE_UNAVAILABLE.
std::shared_ptr<ModelDevice> open_webgpu();

/// What there is for it, found without opening a device.
struct WebGpuProvider {
  std::string driver;   ///< the library with the GPUs' drivers
  std::string problem;  ///< why it cannot be used, and what to install; empty where it seems to be there
  std::vector<VulkanAdapter> adapters;
};
WebGpuProvider webgpu_provider();

}  // namespace tr0n
