#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "emulator/exec/warp.h"

namespace tr0n::emulator {

/// One of a block's sixteen barriers.
struct Barrier {
  uint32_t arrived = 0;   ///< threads, 32 for each warp
  uint32_t expected = 0;  ///< threads; 0: all that are alive
  uint32_t waiting = 0;   ///< warps
  uint32_t joined = 0;    ///< warps that arrived, waiting or not
  bool active = false;
  uint32_t reduction[3] = {0, ~0U, 0};  ///< count of true, and, or
};

struct Launch;

/// What the race check knows of a few bytes of shared memory (races.cpp).
struct SharedCell {
  uint32_t written = 0, read = 0;  ///< stamps of the last accesses
  uint32_t read_warps = 0;
  int write_line = 0, read_line = 0;  ///< of the PTX text
};

struct Block {
  void start(Launch& launch, uint64_t number, Profile* profile, MemoryCounters* counters);
  /// Runs until all warps are done (true) or `budget` instructions are spent (false).
  bool run(uint64_t budget);

  void arrive(Warp& warp, const Inst& inst, int number, uint32_t threads, bool wait);
  void warp_done(Warp& warp);

  Launch* launch = nullptr;
  uint32_t index[3] = {0, 0, 0};
  std::vector<std::unique_ptr<Warp>> warps;
  Barrier barriers[16];
  uint64_t executed = 0;
  Profile* profile = nullptr;  ///< of the module's instructions, for this worker
  MemoryCounters* counters = nullptr;

  std::vector<std::byte> shared;
  std::vector<uint8_t> shared_shadow;
  std::vector<SharedCell> cells;
  uint32_t granule_shift = 2;

 private:
  void prepare_shared();
  void start_warp(Warp& warp);
  void release(Barrier& barrier);
  bool complete(const Barrier& barrier) const;
  [[noreturn]] void deadlock();
};

/// A kernel with its arguments on a grid.
struct Launch {
  const Module* module = nullptr;
  const Function* function = nullptr;
  uint32_t grid[3] = {1, 1, 1}, block[3] = {1, 1, 1};
  uint32_t dynamic_shared = 0;
  std::vector<std::byte> parameters;
  bool cooperative = false;
  int device = 0;

  uint32_t number = 0;  ///< of all launches, from 1: the stamp of sectors
  std::vector<Profile> profile;
  MemoryCounters counters;
  std::atomic<bool> stopped{false};

  uint32_t threads_per_block() const { return block[0] * block[1] * block[2]; }
  uint64_t blocks() const { return uint64_t{grid[0]} * grid[1] * grid[2]; }
};

/// Writes a special register's row.
void fill_special(const Warp& warp, Special special, std::byte* row);

/// Runs all blocks, on several threads where their order cannot be seen; throws Fault.
void execute(Launch& launch);

}  // namespace tr0n::emulator
