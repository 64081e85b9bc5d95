#pragma once
#include "cuda/driver_api.h"
#include "emulator/exec/program.h"

namespace tr0n::cuda {

/// What a device of a compute capability can hold (CUDA C++ Programming Guide, technical specifications).
struct Limits {
  int shared_per_block_optin, shared_per_multiprocessor, threads_per_multiprocessor,
      blocks_per_multiprocessor;
  int multiprocessors, clock_khz, memory_clock_khz, bus_bits, l2_bytes;
};
Limits limits();
bool is_device(int ordinal);
bool device_attribute(CUdevice_attribute attribute, int device, int& value);
/// Registers of a thread, bounded from above: virtual registers are many more than an assembler needs.
int registers_of(const emulator::Function& function);
int max_threads_of(const emulator::Function& function);
int active_blocks(const emulator::Function& function, int block_size, size_t dynamic_shared);

constexpr int kSharedDefault = 48 * 1024;

}  // namespace tr0n::cuda
