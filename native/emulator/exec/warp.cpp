#include "emulator/exec/warp.h"

#include <algorithm>
#include <cstring>

#include "emulator/exec/block.h"

namespace tr0n::emulator {

void Warp::fault(const Inst& inst, int lane, Kind kind, std::string what) const {
  fault_at(inst.line, lane, kind, std::move(what));
}

void Warp::fault_at(int line, int lane, Kind kind, std::string what) const {
  Violation violation;
  violation.kind = kind;
  violation.kernel = launch->function->name;
  violation.line = line;
  violation.in_kernel = true;
  violation.what = std::move(what);
  const uint32_t thread = index * kLanes + static_cast<uint32_t>(lane);
  for (int axis = 0; axis < 3; ++axis) violation.block[axis] = block->index[axis];
  violation.thread[0] = thread % launch->block[0];
  violation.thread[1] = thread / launch->block[0] % launch->block[1];
  violation.thread[2] = thread / launch->block[0] / launch->block[1];
  // Other workers stop at the first fault; only one of them reports.
  if (!launch->stopped.exchange(true)) report(std::move(violation));
  throw Fault(status_of(kind));
}

bool Warp::resume_pending() {
  for (;;) {
    while (stack.size() > stack_base) {
      const Pending next = stack.back();
      stack.pop_back();
      const uint32_t mask = next.mask & ~exited & ~returned;
      if (mask == 0) continue;
      active = mask;
      pc = next.pc;
      rpc = next.rpc;
      return true;
    }
    if (callers.empty()) return false;
    // All lanes that called have returned or exited.
    const Caller caller = callers.back();
    callers.pop_back();
    const Function& callee = *function;
    const uint32_t back = returned & ~exited;
    const uint32_t* results = caller.function->pool.data() + caller.call->list;
    for (size_t k = 0; k < callee.results.size() && k < caller.call->aux; ++k) {
      const uint32_t stride = (callee.results[k].bytes + 15) / 16 * 16;
      for (int l = 0; l < kLanes; ++l) {
        if ((back >> l & 1) == 0) continue;
        std::memcpy(caller.frame + results[k] + static_cast<uint32_t>(l) * stride,
                    frame + callee.results[k].offset + static_cast<uint32_t>(l) * stride,
                    callee.results[k].bytes);
      }
    }
    function = caller.function;
    frame = caller.frame;
    code = function->code.data();
    profile = block->profile + function->first_counter;
    returned = caller.returned;
    stack_base = caller.stack_base;
    local_base = caller.local_base;
    rpc = caller.rpc;
    pc = caller.pc;
    active = caller.active & ~exited;
    if (active != 0) return true;
  }
}

uint64_t run_warp(Warp& w, uint64_t budget) {
  uint64_t done = 0;
  w.running = true;
  w.slept = false;
  while (w.running && done < budget) {
    const uint32_t pc = w.pc++;
    const Inst& inst = w.code[pc];
    ++done;
    ++w.executed;
    const uint32_t mask = w.active & (w.predicate(inst.guard) ^ inst.flip);
    Profile& profile = w.profile[pc];
    ++profile.warps;
    if (mask == 0) continue;
    profile.lanes += static_cast<uint64_t>(std::popcount(mask));
    inst.run(w, inst, mask);
  }
  w.running = false;
  return done;
}

void fill_special(const Warp& w, Special special, std::byte* out) {
  const Launch& launch = *w.launch;
  const bool wide = bytes_of(type_of(special)) == 8;
  for (uint32_t l = 0; l < kLanes; ++l) {
    const uint32_t thread = w.index * kLanes + l;
    uint64_t value = 0;
    switch (special) {
      case Special::tid_x:
        value = thread % launch.block[0];
        break;
      case Special::tid_y:
        value = thread / launch.block[0] % launch.block[1];
        break;
      case Special::tid_z:
        value = thread / launch.block[0] / launch.block[1];
        break;
      case Special::ntid_x:
        value = launch.block[0];
        break;
      case Special::ntid_y:
        value = launch.block[1];
        break;
      case Special::ntid_z:
        value = launch.block[2];
        break;
      case Special::ctaid_x:
        value = w.block->index[0];
        break;
      case Special::ctaid_y:
        value = w.block->index[1];
        break;
      case Special::ctaid_z:
        value = w.block->index[2];
        break;
      case Special::nctaid_x:
        value = launch.grid[0];
        break;
      case Special::nctaid_y:
        value = launch.grid[1];
        break;
      case Special::nctaid_z:
        value = launch.grid[2];
        break;
      case Special::laneid:
        value = l;
        break;
      case Special::warpid:
        value = w.index;
        break;
      case Special::nwarpid:
        value = (launch.threads_per_block() + 31) / 32;
        break;
      case Special::smid:
        value = 0;
        break;
      case Special::nsmid:
        value = 1;
        break;
      case Special::gridid:
        value = launch.number;
        break;
      case Special::lanemask_eq:
        value = 1U << l;
        break;
      case Special::lanemask_le:
        value = (2U << l) - 1;
        break;
      case Special::lanemask_lt:
        value = (1U << l) - 1;
        break;
      case Special::lanemask_ge:
        value = ~((1U << l) - 1);
        break;
      case Special::lanemask_gt:
        value = ~((2U << l) - 1);
        break;
      case Special::dynamic_smem_size:
        value = launch.dynamic_shared;
        break;
      case Special::total_smem_size:
        value = launch.function->shared_bytes + launch.dynamic_shared;
        break;
      default:
        break;
    }
    if (wide)
      std::memcpy(out + l * 8, &value, 8);
    else
      std::memcpy(out + l * 4, &value, 4);
  }
}

}  // namespace tr0n::emulator
