#include <cstring>

#include "emulator/exec/access.h"
#include "emulator/exec/block.h"
#include "emulator/exec/decoder.h"
#include "emulator/exec/lanes.h"

namespace tr0n::emulator {
namespace {

enum class Op : uint8_t { add, min, max, inc, dec, exch, cas, bit_and, bit_or, bit_xor };

template <Op O, class T>
T updated(T old, T b, T c) {
  if constexpr (O == Op::add) {
    if constexpr (std::is_floating_point_v<T>)
      return canonical(old + b);
    else
      return static_cast<T>(static_cast<std::make_unsigned_t<T>>(old) +
                            static_cast<std::make_unsigned_t<T>>(b));
  }
  if constexpr (O == Op::min) return b < old ? b : old;
  if constexpr (O == Op::max) return b > old ? b : old;
  if constexpr (O == Op::inc) return old >= b ? T{0} : static_cast<T>(old + 1);
  if constexpr (O == Op::dec) return old == 0 || old > b ? b : static_cast<T>(old - 1);
  if constexpr (O == Op::exch) return b;
  if constexpr (O == Op::cas) return old == b ? c : old;
  if constexpr (!std::is_floating_point_v<T>) {
    if constexpr (O == Op::bit_and) return old & b;
    if constexpr (O == Op::bit_or) return old | b;
    if constexpr (O == Op::bit_xor) return old ^ b;
  }
  return old;
}

/// Lane after lane. aux as for loads; dst 0: red, which returns nothing.
template <Op O, class T>
void run_atomic(Warp& w, const Inst& i, uint32_t mask) {
  uint64_t addresses[kLanes];
  addresses_of(w, i, (i.aux >> 24 & 1) != 0, addresses);
  Pointers at;
  pointers(static_cast<Space>(i.aux >> 16 & 0xFF), w, i, mask, addresses, sizeof(T), Access::atomic, at);
  w.counters->atomics += static_cast<uint64_t>(std::popcount(mask));
  const auto *b = w.row<T>(i.b), *c = w.row<T>(i.c);
  alignas(kFrameAlign) T old[kLanes] = {};
  for (int l = 0; l < kLanes; ++l) {
    if ((mask >> l & 1) == 0) continue;
    std::memcpy(&old[l], at.at[l], sizeof(T));
    const T fresh = updated<O, T>(old[l], b[l], c[l]);
    std::memcpy(at.at[l], &fresh, sizeof(T));
  }
  if (i.dst != 0) write_lanes(w.row<T>(i.dst), mask, [&](int l) { return old[l]; });
}

template <Op O>
Handler bits(Type type) {
  switch (bytes_of(type)) {
    case 4:
      return run_atomic<O, uint32_t>;
    case 8:
      return run_atomic<O, uint64_t>;
    default:
      return nullptr;
  }
}
template <Op O>
Handler numbers(Type type) {
  switch (type) {
    case Type::u32:
      return run_atomic<O, uint32_t>;
    case Type::s32:
      return run_atomic<O, int32_t>;
    case Type::u64:
      return run_atomic<O, uint64_t>;
    case Type::s64:
      return run_atomic<O, int64_t>;
    default:
      break;
  }
  if constexpr (O == Op::add) {
    if (type == Type::f32) return run_atomic<O, float>;
    if (type == Type::f64) return run_atomic<O, double>;
  }
  return nullptr;
}

void atomic(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  const bool returns = s.opcode == "atom";
  m.take_any({"relaxed", "acquire", "release", "acq_rel", "cta", "cluster", "gpu", "sys"});
  const Space space = take_space(m);
  const int op = m.take_one({"add", "min", "max", "inc", "dec", "exch", "cas", "and", "or", "xor"});
  const Type type = m.expect_type();
  switch (op) {
    case 0:
      inst.run = numbers<Op::add>(type);
      break;
    case 1:
      inst.run = numbers<Op::min>(type);
      break;
    case 2:
      inst.run = numbers<Op::max>(type);
      break;
    case 3:
      inst.run = type == Type::u32 ? run_atomic<Op::inc, uint32_t> : nullptr;
      break;
    case 4:
      inst.run = type == Type::u32 ? run_atomic<Op::dec, uint32_t> : nullptr;
      break;
    case 5:
      inst.run = bits<Op::exch>(type);
      break;
    case 6:
      inst.run = bits<Op::cas>(type);
      break;
    case 7:
      inst.run = bits<Op::bit_and>(type);
      break;
    case 8:
      inst.run = bits<Op::bit_or>(type);
      break;
    case 9:
      inst.run = bits<Op::bit_xor>(type);
      break;
    default:
      m.unknown();
  }
  if (inst.run == nullptr || (space != Space::generic && space != Space::global && space != Space::shared))
    m.unknown();
  const size_t place = returns ? 1 : 0;
  d.expect_count(s, place + (op == 6 ? 3 : 2), place + (op == 6 ? 3 : 2));
  if (returns) inst.dst = d.destination(s, 0, type);
  uint32_t row = 0;
  const bool wide = d.address(s, place, space, inst, row);
  inst.a = row;
  inst.b = d.source(s, place + 1, type);
  inst.c = op == 6 ? d.source(s, place + 2, type) : inst.b;
  inst.aux = 1 | bytes_of(type) << 8 | static_cast<uint32_t>(space) << 16 | (wide ? 1U << 24 : 0);
  inst.group = Class::atomic;
  if (is_float(type)) inst.flops = 1;
  if (space != Space::shared) d.out.has_global_atomics = true;
}

}  // namespace

const DecodeTable& atomic_instructions() {
  static const DecodeTable table = {{"atom", atomic}, {"red", atomic}};
  return table;
}

}  // namespace tr0n::emulator
