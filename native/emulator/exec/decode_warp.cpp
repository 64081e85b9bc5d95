#include "emulator/exec/block.h"
#include "emulator/exec/decoder.h"
#include "emulator/exec/lanes.h"

namespace tr0n::emulator {
namespace {

/// The lanes that an operation with a member mask runs over: all of them that still live have to be here.
uint32_t members(const Warp& w, const Inst& i, uint32_t row, uint32_t mask) {
  const uint32_t wanted = w.first<uint32_t>(row, mask);
  const auto* masks = w.row<uint32_t>(row);
  for (int l = 0; l < kLanes; ++l) {
    if ((mask >> l & 1) == 0) continue;
    if (masks[l] != wanted)
      w.fault(i, l, Kind::divergent_barrier, "lanes of one warp operation name different members");
    if ((wanted >> l & 1) == 0)
      w.fault(i, l, Kind::divergent_barrier, "the lane is not among the members it names");
  }
  const uint32_t absent = wanted & w.live() & ~mask;
  if (absent != 0)
    w.fault(i, std::countr_zero(mask), Kind::divergent_barrier,
            "lane " + std::to_string(std::countr_zero(absent)) +
                " is a member of the warp operation and is elsewhere");
  return wanted;
}

// ---- shfl: aux is the mode; list the offset of the predicate, 0 for none; imm the row of the member mask

enum class Shuffle : uint32_t { up, down, bfly, idx };

void run_shfl(Warp& w, const Inst& i, uint32_t mask) {
  members(w, i, static_cast<uint32_t>(i.imm), mask);
  const auto *a = w.row<uint32_t>(i.a), *b = w.row<uint32_t>(i.b), *c = w.row<uint32_t>(i.c);
  alignas(kFrameAlign) uint32_t result[kLanes] = {};
  uint32_t in_range = 0;
  for (int l = 0; l < kLanes; ++l) {
    if ((mask >> l & 1) == 0) continue;
    const int lane = l, distance = static_cast<int>(b[l] & 31), clamp = static_cast<int>(c[l] & 31);
    const int segment = static_cast<int>(c[l] >> 8 & 31);  // bits of the lane's number that stay as they are
    const int least = lane & segment, most = least | (clamp & ~segment);
    int from = lane;
    bool valid = false;
    switch (static_cast<Shuffle>(i.aux)) {
      case Shuffle::up:
        from = lane - distance;
        valid = from >= most;
        break;
      case Shuffle::down:
        from = lane + distance;
        valid = from <= most;
        break;
      case Shuffle::bfly:
        from = lane ^ distance;
        valid = from <= most;
        break;
      case Shuffle::idx:
        from = least | (distance & ~segment);
        valid = from <= most;
        break;
    }
    if (!valid) from = lane;
    if ((mask >> from & 1) == 0)
      w.fault(
          i, l, Kind::divergent_barrier,
          "the shuffle reads lane " + std::to_string(from) + ", which takes no part: the value is undefined");
    result[l] = a[from];
    in_range |= valid ? 1U << l : 0;
  }
  write_lanes(w.row<uint32_t>(i.dst), mask, [&](int l) { return result[l]; });
  if (i.list != 0) {
    uint32_t& p = w.predicate(i.list);
    p = (p & ~mask) | in_range;
  }
}

void shfl(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  const bool sync = m.take("sync");
  const int mode = m.take_one({"up", "down", "bfly", "idx"});
  if (!sync || mode < 0 || m.expect_type() != Type::b32) m.unknown();
  const size_t first = s.paired ? 2 : 1;
  d.expect_count(s, first + 4, first + 4);
  inst.run = run_shfl;
  inst.aux = static_cast<uint32_t>(mode);
  inst.dst = d.destination(s, 0, Type::b32);
  if (s.paired) inst.list = d.predicate_destination(s.operands[1]);
  inst.a = d.source(s, first, Type::b32);
  inst.b = d.source(s, first + 1, Type::b32);
  inst.c = d.source(s, first + 2, Type::b32);
  inst.imm = d.source(s, first + 3, Type::b32);
  inst.group = Class::shuffle;
}

// ---- vote, activemask

void run_vote(Warp& w, const Inst& i, uint32_t mask) {
  const uint32_t wanted = i.b != 0 ? members(w, i, i.b, mask) : mask;
  const uint32_t yes = (w.predicate(i.a) ^ static_cast<uint32_t>(i.imm)) & mask & wanted, all = mask & wanted;
  if (i.aux == 3) {
    write_lanes(w.row<uint32_t>(i.dst), mask, [=](int) { return yes; });
    return;
  }
  const bool result = i.aux == 0 ? yes == all : i.aux == 1 ? yes != 0 : yes == all || yes == 0;
  uint32_t& p = w.predicate(i.dst);
  p = result ? p | mask : p & ~mask;
}
void vote(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  const bool sync = m.take("sync");
  const int mode = m.take_one({"all", "any", "uni", "ballot"});
  const Type type = m.expect_type();
  if (mode < 0 || !sync || type != (mode == 3 ? Type::b32 : Type::pred)) m.unknown();
  d.expect_count(s, 3, 3);
  inst.run = run_vote;
  inst.aux = static_cast<uint32_t>(mode);
  inst.dst = mode == 3 ? d.destination(s, 0, Type::b32) : d.predicate_destination(s.operands[0]);
  bool negated = false;
  inst.a = d.predicate_source(s.operands[1], negated);
  inst.imm = negated ? 0xFFFFFFFF : 0;
  inst.b = d.source(s, 2, Type::b32);
  inst.group = Class::shuffle;
}
void run_activemask(Warp& w, const Inst& i, uint32_t mask) {
  write_lanes(w.row<uint32_t>(i.dst), mask, [=](int) { return mask; });
}
void activemask(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  if (m.expect_type() != Type::b32) m.unknown();
  d.expect_count(s, 1, 1);
  inst.run = run_activemask;
  inst.dst = d.destination(s, 0, Type::b32);
  inst.group = Class::shuffle;
}

// ---- match

template <class T>
void run_match(Warp& w, const Inst& i, uint32_t mask) {
  members(w, i, i.b, mask);
  const auto* a = w.row<T>(i.a);
  alignas(kFrameAlign) uint32_t result[kLanes] = {};
  bool all = true;
  for (int l = 0; l < kLanes; ++l) {
    if ((mask >> l & 1) == 0) continue;
    for (int k = 0; k < kLanes; ++k) {
      if ((mask >> k & 1) != 0 && a[k] == a[l]) result[l] |= 1U << k;
    }
    all = all && result[l] == mask;
  }
  const bool any = i.aux == 0;
  write_lanes(w.row<uint32_t>(i.dst), mask, [&](int l) { return any ? result[l] : all ? mask : 0U; });
  if (i.list != 0) {
    uint32_t& p = w.predicate(i.list);
    p = all ? p | mask : p & ~mask;
  }
}
void match(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  const int mode = m.take_one({"any", "all"});
  const bool sync = m.take("sync");
  const Type type = m.expect_type();
  if (mode < 0 || !sync || bytes_of(type) < 4) m.unknown();
  const size_t first = s.paired ? 2 : 1;
  d.expect_count(s, first + 2, first + 2);
  inst.run = bytes_of(type) == 8 ? run_match<uint64_t> : run_match<uint32_t>;
  inst.aux = static_cast<uint32_t>(mode);
  inst.dst = d.destination(s, 0, Type::b32);
  if (s.paired) inst.list = d.predicate_destination(s.operands[1]);
  inst.a = d.source(s, first, type);
  inst.b = d.source(s, first + 1, Type::b32);
  inst.group = Class::shuffle;
}

// ---- redux

template <class T>
void run_redux(Warp& w, const Inst& i, uint32_t mask) {
  members(w, i, i.b, mask);
  const auto* a = w.row<T>(i.a);
  bool first = true;
  T result = 0;
  for (int l = 0; l < kLanes; ++l) {
    if ((mask >> l & 1) == 0) continue;
    const T x = a[l];
    if (first) {
      result = x;
    } else {
      switch (i.aux) {
        case 0:
          result = static_cast<T>(static_cast<uint32_t>(result) + static_cast<uint32_t>(x));
          break;
        case 1:
          result = x < result ? x : result;
          break;
        case 2:
          result = x > result ? x : result;
          break;
        case 3:
          result &= x;
          break;
        case 4:
          result |= x;
          break;
        default:
          result ^= x;
          break;
      }
    }
    first = false;
  }
  write_lanes(w.row<T>(i.dst), mask, [=](int) { return result; });
}
void redux(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  const bool sync = m.take("sync");
  const int op = m.take_one({"add", "min", "max", "and", "or", "xor"});
  const Type type = m.expect_type();
  const bool fits = op >= 3 ? type == Type::b32 : type == Type::u32 || type == Type::s32;
  if (!sync || op < 0 || !fits) m.unknown();
  d.expect_count(s, 3, 3);
  inst.run = type == Type::s32 ? run_redux<int32_t> : run_redux<uint32_t>;
  inst.aux = static_cast<uint32_t>(op);
  inst.dst = d.destination(s, 0, type);
  inst.a = d.source(s, 1, type);
  inst.b = d.source(s, 2, Type::b32);
  inst.group = Class::shuffle;
}

}  // namespace

/// bar.warp.sync: orders the members' accesses.
void run_warp_barrier(Warp& w, const Inst& i, uint32_t mask) {
  members(w, i, i.a, mask);
  ++w.clocks[w.index];
}

const DecodeTable& warp_instructions() {
  static const DecodeTable table = {
      {"shfl", shfl}, {"vote", vote}, {"activemask", activemask}, {"match", match}, {"redux", redux}};
  return table;
}

}  // namespace tr0n::emulator
