#pragma once
#include <functional>
#include <memory>

#include "cuda/queue.h"
#include "device/device.h"

namespace tr0n::cuda {

/// Launches that a graph makes again (Device::record). `calls` runs twice: in a rehearsal, in which functions
/// are loaded and the scratch memory's size is found, since a capture allows neither, and in the capture. The
/// graph has scratch memory of its own. Null where the driver has no graphs,
/// or refuses one of the launches in them. The context must be current.
std::unique_ptr<Recording> record(const Context& context, const DeviceQueue& queue,
                                  const std::function<void()>& calls);

}  // namespace tr0n::cuda
