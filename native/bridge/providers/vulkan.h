#pragma once
#include <string>
#include <vector>

/// What the Vulkan loader finds: ONNX Runtime's WebGPU provider computes over Vulkan on Linux, writes to the
/// terminal where there is none, and does not say what is missing.
namespace tr0n {

/// A physical device of a Vulkan driver.
struct VulkanAdapter {
  std::string name;
  std::string version;    ///< of Vulkan, "1.3.274"
  bool software = false;  ///< a CPU that computes as a GPU would
};

struct VulkanInventory {
  std::string library;  ///< the loader's name
  std::string problem;  ///< why there is no adapter, and what to install; empty where there is one
  std::vector<VulkanAdapter> adapters;
};

/// Opens the loader at every call, for its drivers may have changed, and keeps nothing of them. Never throws.
VulkanInventory vulkan_inventory();

}  // namespace tr0n
