#include "emulator/exec/block.h"

#include <algorithm>
#include <cstring>

#include "emulator/config.h"
#include "emulator/memory/device_memory.h"

namespace tr0n::emulator {

void Block::start(Launch& the_launch, uint64_t number, Profile* the_profile, MemoryCounters* the_counters) {
  launch = &the_launch;
  profile = the_profile;
  counters = the_counters;
  index[0] = static_cast<uint32_t>(number % launch->grid[0]);
  index[1] = static_cast<uint32_t>(number / launch->grid[0] % launch->grid[1]);
  index[2] = static_cast<uint32_t>(number / launch->grid[0] / launch->grid[1]);
  executed = 0;
  for (Barrier& barrier : barriers) barrier = Barrier{};
  prepare_shared();
  const uint32_t threads = launch->threads_per_block(), count = (threads + kLanes - 1) / kLanes;
  const bool fresh = warps.size() != count;
  if (fresh) warps.clear();
  for (uint32_t k = 0; k < count; ++k) {
    if (fresh) warps.push_back(std::make_unique<Warp>());
    Warp& warp = *warps[k];
    warp.index = k;
    const uint32_t here = std::min<uint32_t>(kLanes, threads - k * kLanes);
    warp.lanes = here == kLanes ? ~0U : (1U << here) - 1;
    start_warp(warp);
  }
}

void Block::start_warp(Warp& warp) {
  const Function& function = *launch->function;
  const bool same = warp.launch == launch && !warp.frames.empty();
  warp.block = this;
  warp.launch = launch;
  warp.function = &function;
  warp.code = function.code.data();
  warp.profile = profile + function.first_counter;
  warp.counters = counters;
  if (!same) {
    warp.frames.clear();
    warp.frame_sizes.clear();
    warp.frames.push_back(std::make_unique<std::byte[]>(function.frame_bytes + kFrameAlign));
    warp.frame_sizes.push_back(function.frame_bytes);
  }
  warp.frame = warp.frames[0].get();
  warp.frame += (kFrameAlign - reinterpret_cast<uintptr_t>(warp.frame) % kFrameAlign) % kFrameAlign;
  // Registers that nobody wrote hold the same odd values in every run.
  std::memset(warp.frame, 0, function.registers_begin);
  std::memset(warp.frame + function.registers_begin, 0xA5, function.registers_end - function.registers_begin);
  warp.predicate(0) = ~0U;
  for (const auto& [offset, special] : function.specials) fill_special(warp, special, warp.frame + offset);
  if (!same)
    std::memcpy(warp.frame + function.constants_begin, function.constants.data(), function.constants.size());

  warp.pc = 0;
  warp.active = warp.lanes;
  warp.exited = warp.returned = 0;
  warp.rpc = kNoReconvergence;
  warp.stack.clear();
  warp.stack_base = 0;
  warp.callers.clear();
  warp.executed = 0;
  warp.state = Warp::State::ready;
  warp.barrier = -1;
  warp.local_base = 0;
  warp.local_stride = function.total_local_bytes;
  if (warp.local_stride > 0) {
    warp.local.assign(size_t{warp.local_stride} * kLanes, std::byte{0xA5});
    warp.local_shadow.assign(size_t{warp.local_stride} * kLanes, kUnwritten);
  }
  warp.clocks.assign((launch->threads_per_block() + kLanes - 1) / kLanes, 1);
  warp.clock_floor = 1;
  warp.copies.clear();
  std::fill(std::begin(warp.copy_groups), std::end(warp.copy_groups), 0);
}

void Block::prepare_shared() {
  const Function& function = *launch->function;
  const size_t size = function.dynamic_shared_at + launch->dynamic_shared;
  shared.assign(size, std::byte{0xA5});
  shared_shadow.assign(size, kNoAccess);
  for (const Function::Slot& variable : function.shared_variables)
    std::memset(shared_shadow.data() + variable.offset, kUnwritten, variable.bytes);
  if (launch->dynamic_shared > 0)
    std::memset(shared_shadow.data() + function.dynamic_shared_at, kUnwritten, launch->dynamic_shared);
  granule_shift = static_cast<uint32_t>(std::countr_zero(function.granule));
  cells.assign((size >> granule_shift) + 1, SharedCell{});
}

bool Block::run(uint64_t budget) {
  uint64_t spent = 0;
  for (;;) {
    bool all_done = true, progress = false, awake = false;
    for (const auto& warp : warps) {
      if (warp->state == Warp::State::ready) {
        const uint64_t quantum = 10000;
        const uint64_t count = run_warp(*warp, quantum);
        spent += count;
        executed += count;
        progress = true;
        awake = awake || !warp->slept;
        if (warp->state == Warp::State::done) warp_done(*warp);
      }
      all_done = all_done && warp->state == Warp::State::done;
    }
    if (all_done) return true;
    if (!progress) deadlock();
    if (executed > config().block_instructions) {
      for (const auto& warp : warps) {
        if (warp->state == Warp::State::done) continue;
        const int lane = warp->active != 0 ? std::countr_zero(warp->active) : 0;
        warp->fault(
            warp->code[warp->pc], lane, Kind::timeout,
            "the block took more than " + std::to_string(config().block_instructions) + " warp instructions");
      }
    }
    if (launch->stopped) throw Fault(cuda::CUDA_ERROR_LAUNCH_FAILED);
    // What sleeps waits for another block, as a rule.
    if (spent >= budget || (launch->cooperative && !awake)) return false;
  }
}

bool Block::complete(const Barrier& barrier) const {
  if (barrier.expected != 0) return barrier.arrived >= barrier.expected;
  for (const auto& warp : warps) {
    if (warp->state != Warp::State::done && (barrier.joined >> warp->index & 1) == 0) return false;
  }
  return true;
}

void Block::arrive(Warp& warp, const Inst& inst, int number, uint32_t threads, bool wait) {
  Barrier& barrier = barriers[number];
  if (barrier.active && barrier.expected != threads) {
    warp.fault(inst, std::countr_zero(warp.active), Kind::divergent_barrier,
               "barrier " + std::to_string(number) + " is used for " + std::to_string(threads) +
                   " threads while others use it for " + std::to_string(barrier.expected) + " (0: all)");
  }
  barrier.active = true;
  barrier.expected = threads;
  barrier.arrived += kLanes;
  barrier.joined |= 1U << warp.index;
  if (wait) {
    barrier.waiting |= 1U << warp.index;
    warp.state = Warp::State::waiting;
    warp.barrier = number;
    warp.barrier_line = inst.line;
    warp.barrier_inst = &inst;
    warp.running = false;
  }
  if (complete(barrier)) release(barrier);
}

void Block::warp_done(Warp&) {
  // A barrier for all waits for those that are alive.
  for (Barrier& barrier : barriers) {
    if (barrier.active && barrier.expected == 0 && complete(barrier)) release(barrier);
  }
}

void Block::release(Barrier& barrier) {
  ++counters->barriers;
  // What every participant did before is ordered before what those that waited do next.
  uint32_t latest = 0;
  std::vector<uint32_t> joined(warps.size(), 0);
  for (const auto& warp : warps) {
    if ((barrier.joined >> warp->index & 1) == 0) continue;
    latest = std::max(latest, warp->clocks[warp->index]);
    for (size_t v = 0; v < joined.size(); ++v) joined[v] = std::max(joined[v], warp->clocks[v]);
  }
  for (const auto& warp : warps) {
    if ((barrier.joined >> warp->index & 1) != 0) joined[warp->index] = latest + 1;
  }
  for (const auto& warp : warps) {
    const uint32_t bit = 1U << warp->index;
    if ((barrier.waiting & bit) != 0) {
      warp->clocks = joined;
      const Inst& inst = *warp->barrier_inst;
      const uint32_t mask = warp->active;
      if (inst.aux == 2) {
        for (int l = 0; l < kLanes; ++l) {
          if ((mask >> l & 1) != 0) warp->row<uint32_t>(inst.dst)[l] = barrier.reduction[0];
        }
      } else if (inst.aux > 2) {
        uint32_t& p = warp->predicate(inst.dst);
        p = (p & ~mask) | (barrier.reduction[inst.aux - 2] & mask);
      }
      warp->state = Warp::State::ready;
      warp->barrier = -1;
    } else if ((barrier.joined & bit) != 0) {
      warp->clocks[warp->index] = latest + 1;  // it arrived and went on
    } else if (warp->state == Warp::State::done) {
      continue;
    }
    warp->clock_floor = *std::min_element(warp->clocks.begin(), warp->clocks.end());
  }
  barrier = Barrier{};
}

void Block::deadlock() {
  for (const auto& warp : warps) {
    if (warp->state != Warp::State::waiting) continue;
    const Barrier& barrier = barriers[warp->barrier];
    std::string what = "waits at barrier " + std::to_string(warp->barrier) +
                       " for ever: " + std::to_string(barrier.arrived) + " threads came";
    for (const auto& other : warps) {
      if (other->state == Warp::State::waiting && other->barrier != warp->barrier) {
        what += "; warp " + std::to_string(other->index) + " waits at barrier " +
                std::to_string(other->barrier) + " of PTX line " + std::to_string(other->barrier_line);
        break;
      }
    }
    warp->fault_at(warp->barrier_line, std::countr_zero(warp->active), Kind::divergent_barrier, what);
  }
  throw Fault(cuda::CUDA_ERROR_LAUNCH_FAILED);
}

}  // namespace tr0n::emulator
