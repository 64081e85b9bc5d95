#pragma once
#include "cuda/driver_api.h"
#include "emulator/provider/abi.h"

namespace tr0n::provider {

/// A stream for ONNX Runtime: the user's, or one of its own where `user` is null.
SyncStreamTable* make_stream(int gpu, cuda::CUstream user);

}  // namespace tr0n::provider
