#pragma once
#include <memory>

#include "bridge/model_device.h"

namespace tr0n {

/// The GPU that ONNX Runtime's WebGPU provider computes on, whatever its vendor. Throws
/// ERR_DEVICE_UNAVAILABLE.
std::shared_ptr<ModelDevice> open_webgpu();

}  // namespace tr0n
