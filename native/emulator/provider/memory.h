#pragma once
#include "emulator/provider/abi.h"

namespace tr0n::provider {

/// "The vendor" of the emulated GPUs' memory.
constexpr uint32_t kVendor = 0x7120;

Allocator* make_allocator(int gpu, const MemoryInfo* info);
void release_allocator(Allocator* allocator);
DataTransfer* make_data_transfer();
/// Between host and device, or on the device, in the order of a stream; without one it has ended when this
/// returns.
void copy(const Value* from, Value* to, void* stream);
/// That the planted mistake "stray-copies" left.
void close_stray_streams();

}  // namespace tr0n::provider
