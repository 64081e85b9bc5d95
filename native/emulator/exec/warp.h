#pragma once
#include <bit>
#include <cstdint>
#include <memory>
#include <vector>

#include "emulator/exec/counters.h"
#include "emulator/exec/program.h"
#include "emulator/report.h"

namespace tr0n::emulator {

struct Block;
struct Launch;

constexpr int kLanes = 32;

/// Lanes that wait for others: either the rest of a divergent branch (pc is not rpc), or the point where all
/// meet.
struct Pending {
  uint32_t pc, rpc, mask;
};

/// A caller that waits for its callee.
struct Caller {
  const Function* function;
  std::byte* frame;
  uint32_t pc, active, rpc, returned;
  size_t stack_base;
  uint32_t local_base;
  const Inst* call;
};

/// One thread's cp.async that has not been waited for.
struct AsyncCopy {
  uint64_t source;
  uint32_t destination, bytes, source_bytes;
  uint32_t lane, group;
  int line;
};

struct Warp {
  // What every instruction touches, first.
  std::byte* frame = nullptr;
  const Inst* code = nullptr;
  uint32_t pc = 0, active = 0;
  bool running = false;
  bool slept = false;  ///< its last run ended in nanosleep
  Profile* profile = nullptr;
  MemoryCounters* counters = nullptr;

  uint32_t rpc = kNoReconvergence;
  uint32_t exited = 0, returned = 0;
  std::vector<Pending> stack;
  size_t stack_base = 0;
  std::vector<Caller> callers;
  std::vector<std::unique_ptr<std::byte[]>> frames;  ///< by depth of calls
  std::vector<uint32_t> frame_sizes;
  const Function* function = nullptr;

  Block* block = nullptr;
  Launch* launch = nullptr;
  uint32_t index = 0;  ///< in the block
  uint32_t lanes = 0;  ///< that have a thread
  uint64_t executed = 0;

  enum class State : uint8_t { ready, waiting, done };
  State state = State::ready;
  int barrier = -1;
  int barrier_line = 0;
  const Inst* barrier_inst = nullptr;

  std::vector<std::byte> local;  ///< [lane][local_stride]
  std::vector<uint8_t> local_shadow;
  uint32_t local_stride = 0, local_base = 0;

  std::vector<uint32_t> clocks;  ///< [warp]: accesses of that warp before this time are ordered before ours
  uint32_t clock_floor = 0;      ///< the least of them

  std::vector<AsyncCopy> copies;
  uint32_t copy_groups[kLanes] = {};  ///< per lane: groups committed so far

  uint32_t live() const { return lanes & ~exited; }

  template <class T>
  T* row(uint32_t offset) const {
    return static_cast<T*>(__builtin_assume_aligned(frame + offset, kFrameAlign));
  }
  uint32_t& predicate(uint32_t offset) const { return *reinterpret_cast<uint32_t*>(frame + offset); }
  /// The uniform value of a row, for operands that must be the same in all lanes.
  template <class T>
  T first(uint32_t offset, uint32_t mask) const {
    return row<T>(offset)[std::countr_zero(mask)];
  }
  /// Reports with place and thread, then ends the launch.
  [[noreturn]] void fault(const Inst& inst, int lane, Kind kind, std::string what) const;
  /// The same with another line: that of an access that was only now found wrong.
  [[noreturn]] void fault_at(int line, int lane, Kind kind, std::string what) const;
  /// Takes up the next pending lanes where the current ones have ended; false when there are none.
  bool resume_pending();
};

/// Runs up to `budget` instructions, or until the warp waits or is done. Returns how many.
uint64_t run_warp(Warp& warp, uint64_t budget);

}  // namespace tr0n::emulator
