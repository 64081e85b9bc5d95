#pragma once
#include "emulator/provider/abi.h"

namespace tr0n::provider {

/// "The vendor" of the emulated GPUs' memory.
constexpr uint32_t kVendor = 0x7120;

Allocator* make_allocator(int gpu, const MemoryInfo* info);
void release_allocator(Allocator* allocator);
DataTransfer* make_data_transfer();

}  // namespace tr0n::provider
