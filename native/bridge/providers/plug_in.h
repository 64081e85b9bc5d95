#pragma once
#include <string>
#include <vector>

#include "bridge/ort_runtime.h"

namespace tr0n {

/// A library with an execution provider of its own (ONNX Runtime's plug-in interface), known to the runtime
/// from the first time on until the process ends.
class PlugIn {
 public:
  /// Throws ERR_DEVICE_UNAVAILABLE where the library is missing, of another version or has no device.
  static const PlugIn& of(const std::string& library);

  const std::string& library() const { return library_; }
  const std::string& provider() const { return provider_; }
  /// In the provider's order.
  const std::vector<const ort::EpDevice*>& devices() const { return devices_; }
  /// What the runtime calls the device's memory.
  const ort::MemoryInfo* memory_info(const ort::EpDevice* device) const { return get_memory_(device, 0); }

 private:
  explicit PlugIn(std::string library);
  std::string library_, provider_;
  std::vector<const ort::EpDevice*> devices_;
  ort::GetDeviceMemory get_memory_;
};

}  // namespace tr0n
