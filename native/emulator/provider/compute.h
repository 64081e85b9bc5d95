#pragma once
#include <memory>

#include "emulator/provider/gpu.h"
#include "emulator/provider/graph.h"

namespace tr0n::provider {

/// A compiled part: its run is a piece of work in a stream, which brings its inputs from device memory,
/// computes by a session on the CPU, and puts its outputs into device memory. `fallback`: the stream where a
/// run has none.
ComputeInfo* make_compute(int gpu, Part part, std::shared_ptr<const OwnStream> fallback);
void release_compute(ComputeInfo* compute);

}  // namespace tr0n::provider
