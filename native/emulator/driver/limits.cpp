#include "emulator/driver/limits.h"

#include <algorithm>

#include "emulator/config.h"

namespace tr0n::cuda {

Limits limits() {
  const int sm = emulator::config().compute_capability;
  // Beside the architecture's own limits, figures of a typical product.
  if (sm < 80) return {64 * 1024, 64 * 1024, 1024, 16, 40, 1590000, 5001000, 256, 4 << 20};        // T4
  if (sm == 80) return {163 * 1024, 164 * 1024, 2048, 32, 108, 1410000, 1215000, 5120, 40 << 20};  // A100
  if (sm < 89) return {99 * 1024, 100 * 1024, 1536, 16, 84, 1695000, 9751000, 384, 6 << 20};       // RTX 3090
  if (sm == 89) return {99 * 1024, 100 * 1024, 1536, 24, 128, 2520000, 10501000, 384, 72 << 20};   // RTX 4090
  if (sm < 120) return {227 * 1024, 228 * 1024, 2048, 32, 132, 1980000, 2619000, 5120, 50 << 20};  // H100
  return {99 * 1024, 100 * 1024, 1536, 24, 170, 2407000, 14001000, 512, 96 << 20};                 // RTX 5090
}

bool is_device(int ordinal) { return ordinal >= 0 && ordinal < emulator::config().devices; }

bool device_attribute(CUdevice_attribute attribute, int device, int& value) {
  const Limits l = limits();
  switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X:
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y:
      value = 1024;
      return true;
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z:
      value = 64;
      return true;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X:
      value = 2147483647;
      return true;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y:
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z:
      value = 65535;
      return true;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK:
      value = kSharedDefault;
      return true;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN:
      value = l.shared_per_block_optin;
      return true;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR:
      value = l.shared_per_multiprocessor;
      return true;
    case CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK:
      value = l.shared_per_block_optin > 64 * 1024 ? 1024 : 0;
      return true;
    case CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY:
      value = 65536;
      return true;
    case CU_DEVICE_ATTRIBUTE_WARP_SIZE:
      value = 32;
      return true;
    case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK:
    case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR:
      value = 65536;
      return true;
    case CU_DEVICE_ATTRIBUTE_CLOCK_RATE:
      value = l.clock_khz;
      return true;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
      value = l.multiprocessors;
      return true;
    case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE:
      value = l.memory_clock_khz;
      return true;
    case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH:
      value = l.bus_bits;
      return true;
    case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE:
      value = l.l2_bytes;
      return true;
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR:
      value = l.threads_per_multiprocessor;
      return true;
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR:
      value = l.blocks_per_multiprocessor;
      return true;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
      value = emulator::config().compute_capability / 10;
      return true;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
      value = emulator::config().compute_capability % 10;
      return true;
    case CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT:
      value = 2;
      return true;
    case CU_DEVICE_ATTRIBUTE_PCI_BUS_ID:
      value = device + 1;
      return true;
    case CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY:
    case CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS:
    case CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING:
    case CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED:
    case CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH:
    case CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED:
      value = 1;
      return true;
    case CU_DEVICE_ATTRIBUTE_INTEGRATED:
    case CU_DEVICE_ATTRIBUTE_COMPUTE_MODE:
    case CU_DEVICE_ATTRIBUTE_ECC_ENABLED:
    case CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID:
    case CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY:
      value = 0;
      return true;
  }
  return false;
}

int max_threads_of(const emulator::Function& function) {
  return function.max_threads == 0 ? 1024 : static_cast<int>(std::min(function.max_threads, 1024U));
}

int registers_of(const emulator::Function& function) {
  const int most = std::min(255, 65536 / max_threads_of(function) / 8 * 8);
  return std::clamp(static_cast<int>(function.register_count), 16, most);
}

int active_blocks(const emulator::Function& function, int block_size, size_t dynamic_shared) {
  if (block_size <= 0 || block_size > max_threads_of(function)) return 0;
  const Limits l = limits();
  const int warps = (block_size + 31) / 32;
  int blocks = std::min(l.blocks_per_multiprocessor, l.threads_per_multiprocessor / 32 / warps);
  blocks = std::min(blocks, 65536 / ((registers_of(function) + 7) / 8 * 8 * 32 * warps));
  const int reserved = l.shared_per_block_optin > 64 * 1024 ? 1024 : 0;
  const int shared = static_cast<int>(function.shared_bytes + dynamic_shared) + reserved;
  if (shared > reserved) blocks = std::min(blocks, l.shared_per_multiprocessor / shared);
  return std::max(blocks, 0);
}

}  // namespace tr0n::cuda
