#include <algorithm>

#include "emulator/exec/block.h"
#include "emulator/exec/decoder.h"
#include "emulator/exec/lanes.h"

namespace tr0n::emulator {

void run_warp_barrier(Warp& w, const Inst& i, uint32_t mask);

namespace {

// ---- branches

/// Lanes of `mask` go to `target`, the rest of the active ones stay; all meet at inst.rpc.
void diverge(Warp& w, uint32_t mask, uint32_t target, uint32_t rpc) {
  const uint32_t rest = w.active & ~mask;
  if (rest == 0) {
    w.pc = target;
    return;
  }
  if (rpc != w.rpc) w.stack.push_back({rpc, w.rpc, w.active});
  const uint32_t stay = w.pc;
  if (target == rpc) {
    w.active = rest;
  } else if (stay == rpc) {
    w.active = mask;
    w.pc = target;
  } else {
    w.stack.push_back({target, rpc, mask});
    w.active = rest;
  }
  w.rpc = rpc;
}

void run_branch(Warp& w, const Inst& i, uint32_t mask) { diverge(w, mask, i.target, i.rpc); }

/// brx.idx: one group of lanes for each target that occurs.
void run_table_branch(Warp& w, const Inst& i, uint32_t mask) {
  const uint32_t* targets = w.function->pool.data() + i.list;
  const auto* index = w.row<uint32_t>(i.a);
  const uint32_t stay = w.active & ~mask;
  uint32_t rest = mask;
  std::vector<Pending> groups;
  if (stay != 0) groups.push_back({w.pc, i.rpc, stay});
  while (rest != 0) {
    const int lane = std::countr_zero(rest);
    if (index[lane] >= i.aux)
      w.fault(i, lane, Kind::out_of_bounds,
              "branches by entry " + std::to_string(index[lane]) + " of a table of " + std::to_string(i.aux));
    uint32_t group = 0;
    for (int l = lane; l < kLanes; ++l) {
      if ((rest >> l & 1) != 0 && index[l] == index[lane]) group |= 1U << l;
    }
    rest &= ~group;
    groups.push_back({targets[index[lane]], i.rpc, group});
  }
  if (groups.size() == 1) {
    w.pc = groups[0].pc;
    return;
  }
  if (i.rpc != w.rpc) w.stack.push_back({i.rpc, w.rpc, w.active});
  std::erase_if(groups, [&](const Pending& group) { return group.pc == i.rpc; });
  w.stack.insert(w.stack.end(), groups.begin(), groups.end() - 1);
  w.pc = groups.back().pc;
  w.active = groups.back().mask;
  w.rpc = i.rpc;
}

/// Stands before every point where lanes meet again.
void run_reconverge(Warp& w, const Inst&, uint32_t) {
  if (w.rpc != w.pc - 1) return;
  w.resume_pending();
}

void run_exit(Warp& w, const Inst&, uint32_t mask) {
  w.exited |= mask;
  w.active &= ~mask;
  if (w.active == 0 && !w.resume_pending()) {
    // Callers' lanes that did not come along are pending in their frames; resume_pending looks there too.
    w.running = false;
    w.state = Warp::State::done;
  }
}

void run_trap(Warp& w, const Inst& i, uint32_t mask) {
  w.fault(i, std::countr_zero(mask), Kind::trap, "trap");
}

void branch(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  m.take("uni");
  d.expect_count(s, 1, 1);
  if (s.operands[0].kind != Operand::Kind::symbol) d.fail("a branch needs a label");
  inst.run = run_branch;
  inst.target = d.branch_target(s.operands[0].symbol, s.scope, s.line);
  inst.group = Class::control;
}

void table_branch(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  if (!m.take("idx")) m.unknown();
  m.take("uni");
  d.expect_count(s, 2, 2);
  const auto table = std::find_if(d.function.tables.begin(), d.function.tables.end(),
                                  [&](const BranchTable& t) { return t.name == s.operands[1].symbol; });
  if (table == d.function.tables.end()) d.fail("no table of branch targets \"" + s.operands[1].symbol + "\"");
  std::vector<uint32_t> targets;
  for (const std::string& name : table->targets)
    targets.push_back(d.branch_target(name, table->scope, s.line));
  inst.run = run_table_branch;
  inst.a = d.source(s, 0, Type::u32);
  inst.list = d.pool(targets);
  inst.aux = static_cast<uint32_t>(targets.size());
  inst.group = Class::control;
}

void exit(Decoder& d, const Statement& s, Modifiers&, Inst& inst) {
  d.expect_count(s, 0, 0);
  inst.run = run_exit;
  inst.group = Class::control;
}

void trap(Decoder&, const Statement&, Modifiers&, Inst& inst) {
  inst.run = run_trap;
  inst.group = Class::control;
}

// ---- calls

/// A new frame above the caller's, its parameters copied.
void enter(Warp& w, const Function& callee, const Inst& i, uint32_t mask) {
  const Function& caller = *w.function;
  const size_t depth = w.callers.size() + 1;
  if (depth > 64) w.fault(i, std::countr_zero(mask), Kind::out_of_bounds, "calls are nested too deeply");
  if (w.frames.size() <= depth) {
    w.frames.resize(depth + 1);
    w.frame_sizes.resize(depth + 1, 0);
  }
  if (w.frame_sizes[depth] < callee.frame_bytes) {
    w.frames[depth] = std::make_unique<std::byte[]>(callee.frame_bytes + kFrameAlign);
    w.frame_sizes[depth] = callee.frame_bytes;
  }
  auto* frame = w.frames[depth].get();
  frame += (kFrameAlign - reinterpret_cast<uintptr_t>(frame) % kFrameAlign) % kFrameAlign;
  std::memset(frame, 0, callee.constants_begin);
  const uint32_t all = ~0U;
  std::memcpy(frame, &all, 4);
  std::memcpy(frame + callee.constants_begin, callee.constants.data(), callee.constants.size());
  for (const auto& [offset, special] : callee.specials) {
    // The same for every function of the warp: found in the entry's frame or computed there.
    fill_special(w, special, frame + offset);
  }
  const uint32_t* arguments = caller.pool.data() + i.list;
  for (size_t k = 0; k < callee.parameters.size(); ++k) {
    const Function::Slot to = callee.parameters[k];
    const uint32_t stride = (to.bytes + 15) / 16 * 16;
    std::memcpy(frame + to.offset, w.frame + arguments[i.aux + k], size_t{stride} * kLanes);
  }
  w.callers.push_back(
      {w.function, w.frame, w.pc, w.active, w.rpc, w.returned, w.stack_base, w.local_base, &i});
  w.local_base += caller.local_bytes;
  w.stack_base = w.stack.size();
  w.function = &callee;
  w.frame = frame;
  w.code = callee.code.data();
  w.profile = w.block->profile + callee.first_counter;
  w.pc = 0;
  w.active = mask;
  w.rpc = kNoReconvergence;
  w.returned = 0;
}

void run_call(Warp& w, const Inst& i, uint32_t mask) {
  enter(w, *w.launch->module->functions[static_cast<size_t>(i.imm)], i, mask);
}

void run_return(Warp& w, const Inst& i, uint32_t mask) {
  if (w.callers.empty()) {
    run_exit(w, i, mask);
    return;
  }
  w.returned |= mask;
  w.active &= ~mask;
  if (w.active == 0) w.resume_pending();
}

/// vprintf and its like: results are zero.
void run_ignored_call(Warp& w, const Inst& i, uint32_t) {
  const uint32_t* results = w.function->pool.data() + i.list;
  for (uint32_t k = 0; k < i.aux; ++k) std::memset(w.frame + results[k], 0, 16 * kLanes);
}
void run_failed_assert(Warp& w, const Inst& i, uint32_t mask) {
  w.fault(i, std::countr_zero(mask), Kind::trap, "an assertion failed");
}

void call(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  m.take("uni");
  inst.group = Class::control;
  std::vector<uint32_t> places;
  for (const auto* names : {&s.results, &s.arguments}) {
    for (const std::string& name : *names) {
      const Decoder::Place place = d.place(name);
      if (!place.in_frame) d.fail("call: a parameter has to be a .param variable");
      places.push_back(static_cast<uint32_t>(place.address));
    }
  }
  inst.list = d.pool(places);
  inst.aux = static_cast<uint32_t>(s.results.size());
  const auto found = d.module.function_index.find(s.callee);
  if (found == d.module.function_index.end()) {
    if (s.callee == "vprintf")
      inst.run = run_ignored_call;
    else if (s.callee == "__assertfail")
      inst.run = run_failed_assert;
    else
      d.fail("call of unknown function \"" + s.callee + "\"");
    return;
  }
  inst.run = run_call;
  inst.imm = found->second;
  d.out.callees.push_back(found->second);
}

void ret(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  m.take("uni");
  d.expect_count(s, 0, 0);
  inst.run = run_return;
  inst.group = Class::control;
}

// ---- barriers: a the number's row, b that of the count (0 none); aux: 0 sync, 1 arrive, 2 popc, 3 and, 4 or

void run_barrier(Warp& w, const Inst& i, uint32_t mask) {
  if (mask != w.live()) {
    const int lane = std::countr_zero(w.live() & ~mask);
    w.fault(i, std::countr_zero(mask), Kind::divergent_barrier,
            "thread of lane " + std::to_string(lane) +
                " of the warp does not come to the barrier with the others");
  }
  const uint32_t number = w.first<uint32_t>(i.a, mask), threads = i.b == 0 ? 0 : w.first<uint32_t>(i.b, mask);
  const auto *numbers = w.row<uint32_t>(i.a), *counts = w.row<uint32_t>(i.b);
  for (int l = 0; l < kLanes; ++l) {
    if ((mask >> l & 1) != 0 && (numbers[l] != number || (i.b != 0 && counts[l] != threads)))
      w.fault(i, l, Kind::divergent_barrier, "the lanes of a warp name different barriers");
  }
  if (number > 15)
    w.fault(i, std::countr_zero(mask), Kind::divergent_barrier,
            "there is no barrier " + std::to_string(number));
  if (threads % kLanes != 0)
    w.fault(i, std::countr_zero(mask), Kind::divergent_barrier,
            "a barrier's number of threads has to be a multiple of 32, not " + std::to_string(threads));
  if (i.aux >= 2) {
    const uint32_t votes = (w.predicate(i.c) ^ static_cast<uint32_t>(i.imm)) & mask;
    uint32_t(&reduction)[3] = w.block->barriers[number].reduction;
    reduction[0] += static_cast<uint32_t>(std::popcount(votes));
    if (votes != mask) reduction[1] = 0;
    reduction[2] |= votes != 0 ? ~0U : 0U;
  }
  w.block->arrive(w, i, static_cast<int>(number), threads, i.aux != 1);
}

void barrier(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  m.take("cta");
  inst.group = Class::barrier;
  if (m.take("warp")) {
    if (!m.take("sync")) m.unknown();
    d.expect_count(s, 1, 1);
    inst.run = run_warp_barrier;
    inst.a = d.source(s, 0, Type::b32);
    return;
  }
  m.take("aligned");
  const int kind = m.take_one({"sync", "arrive", "red"});
  if (kind < 0) m.unknown();
  inst.run = run_barrier;
  if (kind < 2) {
    inst.aux = static_cast<uint32_t>(kind);
    d.expect_count(s, kind == 1 ? 2 : 1, 2);
    inst.a = d.source(s, 0, Type::u32);
    if (s.operands.size() > 1) inst.b = d.source(s, 1, Type::u32);
    return;
  }
  const int op = m.take_one({"popc", "and", "or"});
  const Type type = m.expect_type();
  if (op < 0 || type != (op == 0 ? Type::u32 : Type::pred)) m.unknown();
  d.expect_count(s, 3, 4);
  inst.aux = static_cast<uint32_t>(2 + op);
  inst.dst = op == 0 ? d.destination(s, 0, Type::u32) : d.predicate_destination(s.operands[0]);
  inst.a = d.source(s, 1, Type::u32);
  if (s.operands.size() > 3) inst.b = d.source(s, 2, Type::u32);
  bool negated = false;
  inst.c = d.predicate_source(s.operands.back(), negated);
  inst.imm = negated ? 0xFFFFFFFF : 0;
}

void run_nothing(Warp&, const Inst&, uint32_t) {}
void fence(Decoder&, const Statement& s, Modifiers& m, Inst& inst) {
  // Blocks run so that what one wrote is seen by all; fences have nothing to add.
  m.take_any({"sc", "acq_rel", "acquire", "release", "cta", "cluster", "gpu", "sys", "gl"});
  inst.run = run_nothing;
  inst.group = Class::barrier;
  (void)s;
}
void nothing(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  m.take("u32");
  for (size_t k = 0; k < s.operands.size(); ++k) d.source(s, k, Type::u32);
  inst.run = run_nothing;
}

/// The warp's turn ends: what it waits for is, as a rule, another block's.
void run_sleep(Warp& w, const Inst&, uint32_t) { w.slept = true, w.running = false; }
void sleep(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  nothing(d, s, m, inst);
  inst.run = run_sleep;
}

}  // namespace

const Handler kReconverge = run_reconverge;
bool is_branch(const Inst& inst) { return inst.run == run_branch; }
bool is_table_branch(const Inst& inst) { return inst.run == run_table_branch; }
bool ends_path(const Inst& inst) {
  return inst.run == run_exit || inst.run == run_return || inst.run == run_trap ||
         inst.run == run_failed_assert;
}

const DecodeTable& control_instructions() {
  static const DecodeTable table = {{"bra", branch},  {"brx", table_branch}, {"exit", exit},
                                    {"ret", ret},     {"trap", trap},        {"call", call},
                                    {"bar", barrier}, {"barrier", barrier},  {"membar", fence},
                                    {"fence", fence}, {"nanosleep", sleep},  {"brkpt", nothing}};
  return table;
}

}  // namespace tr0n::emulator
