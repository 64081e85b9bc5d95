#include <bit>

#include "emulator/exec/decode_float.h"
#include "emulator/exec/decoder.h"
#include "emulator/exec/lanes.h"

namespace tr0n::emulator {
namespace {

template <class T>
using Unsigned = std::make_unsigned_t<T>;

struct Add {
  template <class T>
  static T run(T a, T b) {
    return static_cast<T>(Unsigned<T>(a) + Unsigned<T>(b));
  }
};
struct Sub {
  template <class T>
  static T run(T a, T b) {
    return static_cast<T>(Unsigned<T>(a) - Unsigned<T>(b));
  }
};
struct MulLow {
  template <class T>
  static T run(T a, T b) {
    return static_cast<T>(uint64_t(a) * uint64_t(b));
  }
};
template <class T>
T high_product(T a, T b) {
  if constexpr (sizeof(T) == 8) {
    using Wide = std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>;
    return static_cast<T>((static_cast<Wide>(a) * static_cast<Wide>(b)) >> 64);
  } else {
    return static_cast<T>((static_cast<int64_t>(a) * static_cast<int64_t>(b)) >> (8 * sizeof(T)));
  }
}
struct MulHigh {
  template <class T>
  static T run(T a, T b) {
    return high_product(a, b);
  }
};
// The widening products: D is twice as wide as T.
template <class T, class D>
struct MulWide {
  static D run(T a, T b) {
    return static_cast<D>(static_cast<Unsigned<D>>(static_cast<D>(a)) *
                          static_cast<Unsigned<D>>(static_cast<D>(b)));
  }
};
template <class T, class D>
struct MadWide {
  static D run(T a, T b, D c) {
    return static_cast<D>(static_cast<Unsigned<D>>(MulWide<T, D>::run(a, b)) + static_cast<Unsigned<D>>(c));
  }
};
struct MadLow {
  template <class T>
  static T run(T a, T b, T c) {
    return static_cast<T>(uint64_t(a) * uint64_t(b) + uint64_t(c));
  }
};
struct MadHigh {
  template <class T>
  static T run(T a, T b, T c) {
    return static_cast<T>(Unsigned<T>(high_product(a, b)) + Unsigned<T>(c));
  }
};
struct AddSaturated {
  static int32_t run(int32_t a, int32_t b) {
    const int64_t sum = int64_t{a} + b;
    return static_cast<int32_t>(sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : sum);
  }
};
struct SubSaturated {
  static int32_t run(int32_t a, int32_t b) {
    const int64_t difference = int64_t{a} - b;
    return static_cast<int32_t>(difference > INT32_MAX   ? INT32_MAX
                                : difference < INT32_MIN ? INT32_MIN
                                                         : difference);
  }
};
// 24-bit products: the lower, and the upper 32 of the 48 bits.
template <class T>
int64_t product24(T a, T b) {
  if constexpr (std::is_signed_v<T>) {
    return int64_t{static_cast<int32_t>(static_cast<uint32_t>(a) << 8) >> 8} *
           (static_cast<int32_t>(static_cast<uint32_t>(b) << 8) >> 8);
  } else {
    return static_cast<int64_t>(uint64_t{a & 0xFFFFFFU} * (b & 0xFFFFFFU));
  }
}
struct Mul24Low {
  template <class T>
  static T run(T a, T b) {
    return static_cast<T>(product24(a, b));
  }
};
struct Mul24High {
  template <class T>
  static T run(T a, T b) {
    return static_cast<T>(product24(a, b) >> 16);
  }
};
struct Mad24Low {
  template <class T>
  static T run(T a, T b, T c) {
    return static_cast<T>(product24(a, b) + static_cast<int64_t>(c));
  }
};
struct Mad24High {
  template <class T>
  static T run(T a, T b, T c) {
    return static_cast<T>((product24(a, b) >> 16) + static_cast<int64_t>(c));
  }
};
struct Sad {
  template <class T>
  static T run(T a, T b, T c) {
    return static_cast<T>(Unsigned<T>(c) +
                          (a < b ? Unsigned<T>(b) - Unsigned<T>(a) : Unsigned<T>(a) - Unsigned<T>(b)));
  }
};
// Division by zero is unspecified; all ones is what devices were seen to give.
struct Div {
  template <class T>
  static T run(T a, T b) {
    if (b == 0) return static_cast<T>(~T{0});
    if (std::is_signed_v<T> && b == static_cast<T>(-1))
      return static_cast<T>(Unsigned<T>{0} - Unsigned<T>(a));
    return static_cast<T>(a / b);
  }
};
struct Rem {
  template <class T>
  static T run(T a, T b) {
    if (b == 0) return a;
    if (std::is_signed_v<T> && b == static_cast<T>(-1)) return 0;
    return static_cast<T>(a % b);
  }
};
struct Min {
  template <class T>
  static T run(T a, T b) {
    return a < b ? a : b;
  }
};
struct Max {
  template <class T>
  static T run(T a, T b) {
    return a > b ? a : b;
  }
};
struct Abs {
  template <class T>
  static T run(T a) {
    return a < 0 ? static_cast<T>(Unsigned<T>{0} - Unsigned<T>(a)) : a;
  }
};
struct Neg {
  template <class T>
  static T run(T a) {
    return static_cast<T>(Unsigned<T>{0} - Unsigned<T>(a));
  }
};
template <class T>
struct Popc {
  static uint32_t run(T a) { return static_cast<uint32_t>(std::popcount(a)); }
};
template <class T>
struct Clz {
  static uint32_t run(T a) { return static_cast<uint32_t>(std::countl_zero(a)); }
};
template <class T, bool Amount>
struct Bfind {
  static uint32_t run(T a) {
    const auto bits = static_cast<Unsigned<T>>(std::is_signed_v<T> && a < 0 ? ~a : a);
    if (bits == 0) return ~uint32_t{0};
    const auto zeros = static_cast<uint32_t>(std::countl_zero(bits));
    return Amount ? zeros : static_cast<uint32_t>(8 * sizeof(T)) - 1 - zeros;
  }
};
struct Brev {
  template <class T>
  static T run(T a) {
    T reversed = 0;
    for (unsigned bit = 0; bit < 8 * sizeof(T); ++bit)
      reversed = static_cast<T>(reversed << 1 | (a >> bit & 1));
    return reversed;
  }
};
struct Bfe {
  template <class T>
  static T run(T a, uint32_t b, uint32_t c) {
    constexpr unsigned bits = 8 * sizeof(T);
    const unsigned position = b & 0xFF, length = c & 0xFF;
    if (length == 0) return 0;
    const unsigned last = position + length - 1 < bits - 1 ? position + length - 1 : bits - 1;
    const bool sign = std::is_signed_v<T> && (a >> last & 1) != 0;
    const Unsigned<T> fill = sign ? static_cast<Unsigned<T>>(~Unsigned<T>{0}) : Unsigned<T>{0};
    if (position >= bits) return static_cast<T>(fill);
    const unsigned taken = last - position + 1;
    const Unsigned<T> field = Unsigned<T>(a) >> position;
    return static_cast<T>(taken >= bits ? field
                                        : ((field & ((Unsigned<T>{1} << taken) - 1)) | (fill << taken)));
  }
};
struct Bfi {
  template <class T>
  static T run(T a, T b, uint32_t c, uint32_t d) {
    constexpr unsigned bits = 8 * sizeof(T);
    const unsigned position = c & 0xFF, length = d & 0xFF;
    if (position >= bits || length == 0) return b;
    const T ones = length >= bits ? static_cast<T>(~T{0}) : static_cast<T>((T{1} << length) - 1);
    const T mask = static_cast<T>(ones << position);
    return static_cast<T>((b & ~mask) | ((a << position) & mask));
  }
};
template <class A, class B>
struct Dot4 {
  static uint32_t run(uint32_t a, uint32_t b, uint32_t c) {
    for (int k = 0; k < 32; k += 8)
      c += static_cast<uint32_t>(static_cast<A>(a >> k) * static_cast<B>(b >> k));
    return c;
  }
};

template <class Op>
Handler unary(Type type) {
  switch (type) {
    case Type::s16:
      return map1<Op, int16_t, int16_t>;
    case Type::s32:
      return map1<Op, int32_t, int32_t>;
    case Type::s64:
      return map1<Op, int64_t, int64_t>;
    case Type::b32:
      return map1<Op, uint32_t, uint32_t>;
    case Type::b64:
      return map1<Op, uint64_t, uint64_t>;
    default:
      return nullptr;
  }
}
template <class Op>
Handler binary(Type type) {
  switch (type) {
    case Type::u16:
      return map2<Op, uint16_t, uint16_t, uint16_t>;
    case Type::s16:
      return map2<Op, int16_t, int16_t, int16_t>;
    case Type::u32:
      return map2<Op, uint32_t, uint32_t, uint32_t>;
    case Type::s32:
      return map2<Op, int32_t, int32_t, int32_t>;
    case Type::u64:
      return map2<Op, uint64_t, uint64_t, uint64_t>;
    case Type::s64:
      return map2<Op, int64_t, int64_t, int64_t>;
    default:
      return nullptr;
  }
}
template <class Op>
Handler ternary(Type type) {
  switch (type) {
    case Type::u16:
      return map3<Op, uint16_t, uint16_t, uint16_t, uint16_t>;
    case Type::s16:
      return map3<Op, int16_t, int16_t, int16_t, int16_t>;
    case Type::u32:
      return map3<Op, uint32_t, uint32_t, uint32_t, uint32_t>;
    case Type::s32:
      return map3<Op, int32_t, int32_t, int32_t, int32_t>;
    case Type::u64:
      return map3<Op, uint64_t, uint64_t, uint64_t, uint64_t>;
    case Type::s64:
      return map3<Op, int64_t, int64_t, int64_t, int64_t>;
    default:
      return nullptr;
  }
}
template <class Op>
Handler word_only(Type type, int operands) {
  if (type == Type::u32) return operands == 2 ? Handler{map2<Op, uint32_t, uint32_t, uint32_t>} : nullptr;
  if (type == Type::s32) return operands == 2 ? Handler{map2<Op, int32_t, int32_t, int32_t>} : nullptr;
  return nullptr;
}

/// d = op(a, …), all of one type.
void same_type(Decoder& d, const Statement& s, Modifiers& m, Inst& inst, Type type, Handler run,
               size_t sources) {
  if (run == nullptr) m.unknown();
  d.expect_count(s, sources + 1, sources + 1);
  inst.run = run;
  inst.dst = d.destination(s, 0, type);
  inst.a = d.source(s, 1, type);
  if (sources > 1) inst.b = d.source(s, 2, type);
  if (sources > 2) inst.c = d.source(s, 3, type);
  inst.group = Class::integer;
}

// ---- extended precision: the carry of each lane lies in a predicate row

enum class Carry : uint32_t { add, sub, mad_low, mad_high };

template <class T, Carry Op, bool In, bool Out>
void with_carry(Warp& w, const Inst& i, uint32_t mask) {
  using Wide = unsigned __int128;
  const auto *a = w.row<T>(i.a), *b = w.row<T>(i.b);
  auto* dst = w.row<T>(i.dst);
  uint32_t& carry = w.predicate(i.aux);
  uint32_t next = carry;
  for (int l = 0; l < kLanes; ++l) {
    if ((mask >> l & 1) == 0) continue;
    const T in = In ? static_cast<T>(carry >> l & 1) : T{0};
    Wide result = 0;
    if constexpr (Op == Carry::add) result = static_cast<Wide>(a[l]) + b[l] + in;
    // The carry of a subtraction is the borrow.
    if constexpr (Op == Carry::sub) result = static_cast<Wide>(a[l]) - b[l] - in;
    if constexpr (Op == Carry::mad_low)
      result = static_cast<Wide>(static_cast<T>(a[l] * b[l])) + w.row<T>(i.c)[l] + in;
    if constexpr (Op == Carry::mad_high)
      result = static_cast<Wide>(static_cast<T>((static_cast<Wide>(a[l]) * b[l]) >> (8 * sizeof(T)))) +
               w.row<T>(i.c)[l] + in;
    dst[l] = static_cast<T>(result);
    if constexpr (Out) next = (next & ~(1U << l)) | static_cast<uint32_t>(result >> (8 * sizeof(T)) & 1) << l;
  }
  if constexpr (Out) carry = next;
}
template <class T, bool In, bool Out>
void signed_mad_high_carry(Warp& w, const Inst& i, uint32_t mask) {
  const auto *a = w.row<T>(i.a), *b = w.row<T>(i.b);
  auto* dst = w.row<Unsigned<T>>(i.dst);
  uint32_t& carry = w.predicate(i.aux);
  for (int l = 0; l < kLanes; ++l) {
    if ((mask >> l & 1) == 0) continue;
    const auto sum = static_cast<unsigned __int128>(Unsigned<T>(high_product(a[l], b[l]))) +
                     w.row<Unsigned<T>>(i.c)[l] + (In ? carry >> l & 1 : 0);
    dst[l] = static_cast<Unsigned<T>>(sum);
    if constexpr (Out) carry = (carry & ~(1U << l)) | static_cast<uint32_t>(sum >> (8 * sizeof(T)) & 1) << l;
  }
}

template <Carry Op>
Handler carry_handler(Type type, bool in, bool out) {
  const bool wide = bytes_of(type) == 8;
  if (Op == Carry::mad_high && is_signed(type)) {
    if (wide)
      return in ? (out ? signed_mad_high_carry<int64_t, true, true>
                       : signed_mad_high_carry<int64_t, true, false>)
                : signed_mad_high_carry<int64_t, false, true>;
    return in ? (out ? signed_mad_high_carry<int32_t, true, true>
                     : signed_mad_high_carry<int32_t, true, false>)
              : signed_mad_high_carry<int32_t, false, true>;
  }
  if (wide)
    return in ? (out ? with_carry<uint64_t, Op, true, true> : with_carry<uint64_t, Op, true, false>)
              : with_carry<uint64_t, Op, false, true>;
  return in ? (out ? with_carry<uint32_t, Op, true, true> : with_carry<uint32_t, Op, true, false>)
            : with_carry<uint32_t, Op, false, true>;
}

template <Carry Op>
void decode_carry(Decoder& d, const Statement& s, Modifiers& m, Inst& inst, bool in) {
  const bool out = m.take("cc");
  const Type type = m.expect_type();
  if (bytes_of(type) < 4 || is_float(type)) m.unknown();
  same_type(d, s, m, inst, type, carry_handler<Op>(type, in, out),
            Op == Carry::add || Op == Carry::sub ? 2 : 3);
  inst.aux = d.out.carry;
}

// ---- decoding

void add(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  if (decode_float_arithmetic(d, s, m, inst)) return;
  if (m.take("cc")) {
    const Type type = m.expect_type();
    if (bytes_of(type) < 4) m.unknown();
    same_type(d, s, m, inst, type,
              s.opcode == "add" ? carry_handler<Carry::add>(type, false, true)
                                : carry_handler<Carry::sub>(type, false, true),
              2);
    inst.aux = d.out.carry;
    return;
  }
  const bool saturate = m.take("sat");
  const Type type = m.expect_type();
  const bool plus = s.opcode == "add";
  Handler run = plus ? binary<Add>(type) : binary<Sub>(type);
  if (saturate)
    run = type != Type::s32 ? nullptr
          : plus            ? Handler{map2<AddSaturated, int32_t, int32_t, int32_t>}
                            : Handler{map2<SubSaturated, int32_t, int32_t, int32_t>};
  same_type(d, s, m, inst, type, run, 2);
}

void addc(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  decode_carry<Carry::add>(d, s, m, inst, true);
}
void subc(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  decode_carry<Carry::sub>(d, s, m, inst, true);
}
void madc(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  if (m.take("lo")) {
    decode_carry<Carry::mad_low>(d, s, m, inst, true);
  } else if (m.take("hi")) {
    decode_carry<Carry::mad_high>(d, s, m, inst, true);
  } else {
    m.unknown();
  }
}

void mul(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  if (decode_float_arithmetic(d, s, m, inst)) return;
  const int half = m.take_one({"lo", "hi", "wide"});
  const bool mad = s.opcode == "mad";
  if (mad && half < 2 && half >= 0 && m.take("cc")) {
    const Type carried = m.expect_type();
    same_type(d, s, m, inst, carried,
              half == 0 ? carry_handler<Carry::mad_low>(carried, false, true)
                        : carry_handler<Carry::mad_high>(carried, false, true),
              3);
    inst.aux = d.out.carry;
    return;
  }
  const Type type = m.expect_type();
  if (half == 0)
    return same_type(d, s, m, inst, type, mad ? ternary<MadLow>(type) : binary<MulLow>(type), mad ? 3 : 2);
  if (half == 1)
    return same_type(d, s, m, inst, type, mad ? ternary<MadHigh>(type) : binary<MulHigh>(type), mad ? 3 : 2);
  if (half < 0) m.unknown();
  Type wide = Type::none;
  switch (type) {
    case Type::u16:
      wide = Type::u32;
      inst.run = mad ? Handler{map3<MadWide<uint16_t, uint32_t>, uint32_t, uint16_t, uint16_t, uint32_t>}
                     : Handler{map2<MulWide<uint16_t, uint32_t>, uint32_t, uint16_t, uint16_t>};
      break;
    case Type::s16:
      wide = Type::s32;
      inst.run = mad ? Handler{map3<MadWide<int16_t, int32_t>, int32_t, int16_t, int16_t, int32_t>}
                     : Handler{map2<MulWide<int16_t, int32_t>, int32_t, int16_t, int16_t>};
      break;
    case Type::u32:
      wide = Type::u64;
      inst.run = mad ? Handler{map3<MadWide<uint32_t, uint64_t>, uint64_t, uint32_t, uint32_t, uint64_t>}
                     : Handler{map2<MulWide<uint32_t, uint64_t>, uint64_t, uint32_t, uint32_t>};
      break;
    case Type::s32:
      wide = Type::s64;
      inst.run = mad ? Handler{map3<MadWide<int32_t, int64_t>, int64_t, int32_t, int32_t, int64_t>}
                     : Handler{map2<MulWide<int32_t, int64_t>, int64_t, int32_t, int32_t>};
      break;
    default:
      m.unknown();
  }
  d.expect_count(s, mad ? 4 : 3, mad ? 4 : 3);
  inst.dst = d.destination(s, 0, wide);
  inst.a = d.source(s, 1, type);
  inst.b = d.source(s, 2, type);
  if (mad) inst.c = d.source(s, 3, wide);
  inst.group = Class::integer;
}

void mul24(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  const int half = m.take_one({"lo", "hi"});
  const Type type = m.expect_type();
  const bool mad = s.opcode == "mad24";
  if (half < 0 || (type != Type::u32 && type != Type::s32)) m.unknown();
  if (mad)
    return same_type(d, s, m, inst, type, half == 0 ? ternary<Mad24Low>(type) : ternary<Mad24High>(type), 3);
  same_type(d, s, m, inst, type, half == 0 ? word_only<Mul24Low>(type, 2) : word_only<Mul24High>(type, 2), 2);
}

void sad(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  const Type type = m.expect_type();
  same_type(d, s, m, inst, type, ternary<Sad>(type), 3);
}
void div(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  if (decode_float_arithmetic(d, s, m, inst)) return;
  const Type type = m.expect_type();
  same_type(d, s, m, inst, type, binary<Div>(type), 2);
}
void rem(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  const Type type = m.expect_type();
  same_type(d, s, m, inst, type, binary<Rem>(type), 2);
}
void min_max(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  if (decode_float_arithmetic(d, s, m, inst)) return;
  const Type type = m.expect_type();
  same_type(d, s, m, inst, type, s.opcode == "min" ? binary<Min>(type) : binary<Max>(type), 2);
}
void abs_neg(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  if (decode_float_arithmetic(d, s, m, inst)) return;
  const Type type = m.expect_type();
  if (!is_signed(type)) m.unknown();
  same_type(d, s, m, inst, type, s.opcode == "abs" ? unary<Abs>(type) : unary<Neg>(type), 1);
}

/// popc, clz, bfind: the result has 32 bits.
void count(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  const bool amount = m.take("shiftamt");
  const Type type = m.expect_type();
  if (s.opcode == "popc" && type == Type::b32) inst.run = map1<Popc<uint32_t>, uint32_t, uint32_t>;
  if (s.opcode == "popc" && type == Type::b64) inst.run = map1<Popc<uint64_t>, uint32_t, uint64_t>;
  if (s.opcode == "clz" && type == Type::b32) inst.run = map1<Clz<uint32_t>, uint32_t, uint32_t>;
  if (s.opcode == "clz" && type == Type::b64) inst.run = map1<Clz<uint64_t>, uint32_t, uint64_t>;
  if (s.opcode == "bfind") {
    if (type == Type::u32)
      inst.run = amount ? map1<Bfind<uint32_t, true>, uint32_t, uint32_t>
                        : map1<Bfind<uint32_t, false>, uint32_t, uint32_t>;
    if (type == Type::s32)
      inst.run = amount ? map1<Bfind<int32_t, true>, uint32_t, int32_t>
                        : map1<Bfind<int32_t, false>, uint32_t, int32_t>;
    if (type == Type::u64)
      inst.run = amount ? map1<Bfind<uint64_t, true>, uint32_t, uint64_t>
                        : map1<Bfind<uint64_t, false>, uint32_t, uint64_t>;
    if (type == Type::s64)
      inst.run = amount ? map1<Bfind<int64_t, true>, uint32_t, int64_t>
                        : map1<Bfind<int64_t, false>, uint32_t, int64_t>;
  }
  if (inst.run == nullptr) m.unknown();
  d.expect_count(s, 2, 2);
  inst.dst = d.destination(s, 0, Type::u32);
  inst.a = d.source(s, 1, type);
  inst.group = Class::integer;
}

void brev(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  const Type type = m.expect_type();
  if (type != Type::b32 && type != Type::b64) m.unknown();
  same_type(d, s, m, inst, type, unary<Brev>(type), 1);
}

void bfe(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  const Type type = m.expect_type();
  switch (type) {
    case Type::u32:
      inst.run = map3<Bfe, uint32_t, uint32_t, uint32_t, uint32_t>;
      break;
    case Type::s32:
      inst.run = map3<Bfe, int32_t, int32_t, uint32_t, uint32_t>;
      break;
    case Type::u64:
      inst.run = map3<Bfe, uint64_t, uint64_t, uint32_t, uint32_t>;
      break;
    case Type::s64:
      inst.run = map3<Bfe, int64_t, int64_t, uint32_t, uint32_t>;
      break;
    default:
      m.unknown();
  }
  d.expect_count(s, 4, 4);
  inst.dst = d.destination(s, 0, type);
  inst.a = d.source(s, 1, type);
  inst.b = d.source(s, 2, Type::u32);
  inst.c = d.source(s, 3, Type::u32);
  inst.group = Class::integer;
}

template <class T>
void run_bfi(Warp& w, const Inst& i, uint32_t mask) {
  const auto *a = w.row<T>(i.a), *b = w.row<T>(i.b);
  const auto *c = w.row<uint32_t>(i.c), *length = w.row<uint32_t>(i.aux);
  write_lanes(w.row<T>(i.dst), mask, [=](int l) { return Bfi::run(a[l], b[l], c[l], length[l]); });
}

void bfi(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  const Type type = m.expect_type();
  if (type != Type::b32 && type != Type::b64) m.unknown();
  d.expect_count(s, 5, 5);
  inst.run = type == Type::b32 ? run_bfi<uint32_t> : run_bfi<uint64_t>;
  inst.dst = d.destination(s, 0, type);
  inst.a = d.source(s, 1, type);
  inst.b = d.source(s, 2, type);
  inst.c = d.source(s, 3, Type::u32);
  inst.aux = d.source(s, 4, Type::u32);
  inst.group = Class::integer;
}

template <class A>
Handler dot4(bool signed_b) {
  return signed_b ? map3<Dot4<A, int8_t>, uint32_t, uint32_t, uint32_t, uint32_t>
                  : map3<Dot4<A, uint8_t>, uint32_t, uint32_t, uint32_t, uint32_t>;
}
void dp4a(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  const Type type_a = m.expect_type(), type_b = m.expect_type();
  if (bytes_of(type_a) != 4 || bytes_of(type_b) != 4) m.unknown();
  same_type(d, s, m, inst, Type::u32,
            is_signed(type_a) ? dot4<int8_t>(is_signed(type_b)) : dot4<uint8_t>(is_signed(type_b)), 3);
}

}  // namespace

const DecodeTable& integer_instructions() {
  static const DecodeTable table = {
      {"add", add},     {"sub", add},     {"addc", addc},   {"subc", subc},   {"madc", madc},  {"mul", mul},
      {"mad", mul},     {"mul24", mul24}, {"mad24", mul24}, {"sad", sad},     {"div", div},    {"rem", rem},
      {"min", min_max}, {"max", min_max}, {"abs", abs_neg}, {"neg", abs_neg}, {"popc", count}, {"clz", count},
      {"bfind", count}, {"brev", brev},   {"bfe", bfe},     {"bfi", bfi},     {"dp4a", dp4a}};
  return table;
}

}  // namespace tr0n::emulator
