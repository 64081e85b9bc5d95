#pragma once
#include <cstdint>

namespace tr0n::emulator {

/// Of one instruction.
struct Profile {
  uint64_t warps = 0, lanes = 0;
  // What its last pattern of addresses costs: most instructions have one pattern only.
  uint64_t pattern = 0;
  uint32_t first = 0, second = 0;
};

/// What memory instructions moved. "Requested" counts each byte once per lane that asks for it; a sector is
/// an aligned piece of 32 bytes; a wavefront one pass over the 32 banks of shared memory.
struct MemoryCounters {
  uint64_t load_bytes = 0, store_bytes = 0;  ///< global, requested by lanes
  uint64_t sectors = 0;                      ///< global, moved by warp instructions
  uint64_t minimum_sectors = 0;              ///< the least for each instruction's distinct bytes
  uint64_t distinct_load_sectors = 0,
           distinct_store_sectors = 0;  ///< of a launch: what a perfect cache would move
  uint64_t shared_bytes = 0;
  uint64_t wavefronts = 0, conflicts = 0;  ///< all of them, and those that only bank conflicts caused
  uint64_t barriers = 0;                   ///< of blocks
  uint64_t atomics = 0;

  void add(const MemoryCounters& other);
};

}  // namespace tr0n::emulator
