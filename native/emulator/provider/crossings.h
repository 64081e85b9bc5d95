#pragma once
#include "emulator/provider/abi.h"

namespace tr0n::provider {

/// The kernels that ONNX Runtime asks a provider for where a graph is not all its own: they bring a value
/// from the host, and to it.
const KernelRegistry* crossings();

}  // namespace tr0n::provider
