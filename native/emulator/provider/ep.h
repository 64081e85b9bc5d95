#pragma once
#include "emulator/provider/abi.h"

namespace tr0n::provider {

constexpr const char* kName = "Tr0nTestExecutionProvider";

/// Options of a session, as the CUDA provider has them: device_id, has_user_compute_stream,
/// user_compute_stream.
Ep* make_ep(const SessionOptions* options);
void release_ep(Ep* ep);

}  // namespace tr0n::provider
