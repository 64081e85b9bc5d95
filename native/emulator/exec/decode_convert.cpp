#include "emulator/exec/convert.h"
#include "emulator/exec/decoder.h"
#include "emulator/exec/half.h"
#include "emulator/exec/lanes.h"
#include "emulator/memory/device_memory.h"

namespace tr0n::emulator {
namespace {

struct Copy {
  template <class T>
  static T run(T a) {
    return a;
  }
};

// ---- mov

void run_mov_predicate(Warp& w, const Inst& i, uint32_t mask) {
  const uint32_t value = w.predicate(i.a) ^ i.aux;
  uint32_t& p = w.predicate(i.dst);
  p = (p & ~mask) | (value & mask);
}
void run_clock(Warp& w, const Inst& i, uint32_t mask) {
  const uint64_t now = w.executed;
  if (i.aux == 8)
    write_lanes(w.row<uint64_t>(i.dst), mask, [=](int) { return now; });
  else
    write_lanes(w.row<uint32_t>(i.dst), mask,
                [=](int) { return static_cast<uint32_t>(i.aux == 5 ? now >> 32 : now); });
}
void run_local_address(Warp& w, const Inst& i, uint32_t mask) {
  const uint64_t address = static_cast<uint64_t>(i.imm) + w.local_base;
  if (i.aux == 8)
    write_lanes(w.row<uint64_t>(i.dst), mask, [=](int) { return address; });
  else
    write_lanes(w.row<uint32_t>(i.dst), mask, [=](int) { return static_cast<uint32_t>(address); });
}
/// One register from the list of its parts, lowest first; imm: bits of a part.
template <class T, class P>
void run_pack(Warp& w, const Inst& i, uint32_t mask) {
  const uint32_t* parts = w.function->pool.data() + i.list;
  alignas(kFrameAlign) T packed[kLanes] = {};
  for (uint32_t k = 0; k < i.aux; ++k) {
    const auto* part = w.row<P>(parts[k]);
    const int shift = static_cast<int>(i.imm) * static_cast<int>(k);
    const T ones = static_cast<T>((T{1} << i.imm) - 1);
    for (int l = 0; l < kLanes; ++l) packed[l] |= static_cast<T>((static_cast<T>(part[l]) & ones) << shift);
  }
  write_lanes(w.row<T>(i.dst), mask, [&](int l) { return packed[l]; });
}
template <class T, class P>
void run_unpack(Warp& w, const Inst& i, uint32_t mask) {
  const uint32_t* parts = w.function->pool.data() + i.list;
  alignas(kFrameAlign) T whole[kLanes];
  std::memcpy(whole, w.row<T>(i.a), sizeof whole);
  const T ones = static_cast<T>((T{1} << i.imm) - 1);
  for (uint32_t k = 0; k < i.aux; ++k) {
    const int shift = static_cast<int>(i.imm) * static_cast<int>(k);
    write_lanes(w.row<P>(parts[k]), mask, [&](int l) { return static_cast<P>(whole[l] >> shift & ones); });
  }
}

Type part_type(const Decoder& d, const Statement& s, Type whole, size_t count) {
  switch (bytes_of(whole) / count) {
    case 1:
      return Type::b8;
    case 2:
      return Type::b16;
    case 4:
      return Type::b32;
    default:
      d.fail("mov: " + std::to_string(count) + " parts do not make " + s.modifiers.back());
  }
}

void mov(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  const Type type = m.expect_type();
  inst.group = Class::move;
  d.expect_count(s, 2, 2);
  const Operand &to = s.operands[0], &from = s.operands[1];
  if (type == Type::pred) {
    bool negated = false;
    inst.run = run_mov_predicate;
    inst.dst = d.predicate_destination(to);
    inst.a = d.predicate_source(from, negated);
    inst.aux = negated ? ~0U : 0U;
    return;
  }
  const bool wide = bytes_of(type) == 8;
  if (bytes_of(type) < 2 || bytes_of(type) > 8) m.unknown();
  if (to.kind == Operand::Kind::vector || from.kind == Operand::Kind::vector) {
    const bool unpack = to.kind == Operand::Kind::vector;
    const Operand& parts = unpack ? to : from;
    const Type part = part_type(d, s, type, parts.parts.size());
    std::vector<uint32_t> offsets;
    d.list(parts, part, unpack, offsets);
    inst.list = d.pool(offsets);
    inst.aux = static_cast<uint32_t>(offsets.size());
    inst.imm = 8 * bytes_of(part);
    if (unpack) {
      inst.run = wide ? run_unpack<uint64_t, uint32_t> : run_unpack<uint32_t, uint32_t>;
      inst.a = d.source(from, type);
    } else {
      inst.run = wide ? run_pack<uint64_t, uint32_t> : run_pack<uint32_t, uint32_t>;
      inst.dst = d.destination(to, type);
    }
    return;
  }
  inst.dst = d.destination(to, type);
  if (from.kind == Operand::Kind::symbol) {
    const Decoder::Place place = d.place(from.symbol);
    if (place.in_frame) d.fail("the address of parameter \"" + from.symbol + "\" is not supported");
    if (place.is_local) {
      inst.run = run_local_address;
      inst.imm = static_cast<int64_t>(place.address) + from.value;
      inst.aux = wide ? 8 : 4;
      return;
    }
  }
  if (from.kind == Operand::Kind::reg) {
    const Special special = special_named(d.function.register_names[static_cast<size_t>(from.reg)]);
    if (special == Special::clock || special == Special::clock_hi || special == Special::clock64 ||
        special == Special::globaltimer || special == Special::globaltimer_lo) {
      inst.run = run_clock;
      inst.aux = wide ? 8 : special == Special::clock_hi ? 5 : 4;
      return;
    }
  }
  inst.a = d.source(from, type);
  inst.run = wide ? map1<Copy, uint64_t, uint64_t> : map1<Copy, uint32_t, uint32_t>;
}

// ---- cvt

template <class D, class S, class R>
struct Truncate {
  static R run(S a) { return static_cast<R>(static_cast<D>(a)); }
};
struct Widen {
  static double run(float a) { return canonical(static_cast<double>(a)); }
};
struct Narrow {
  static float run(double a) { return canonical(static_cast<float>(a)); }
};
template <class S, class D>
struct FromInteger {
  static D run(S a) { return static_cast<D>(a); }
};

template <class D, class S>
Handler truncate_to(unsigned register_bytes) {
  using R4 = std::conditional_t<std::is_signed_v<D>, int32_t, uint32_t>;
  using R8 = std::conditional_t<std::is_signed_v<D>, int64_t, uint64_t>;
  if constexpr (sizeof(D) <= 2) {
    if (register_bytes <= 2)
      return map1<Truncate<D, S, std::conditional_t<std::is_signed_v<D>, int16_t, uint16_t>>,
                  std::conditional_t<std::is_signed_v<D>, int16_t, uint16_t>, S>;
  }
  if constexpr (sizeof(D) <= 4) {
    if (register_bytes <= 4) return map1<Truncate<D, S, R4>, R4, S>;
  }
  return register_bytes == 8 ? map1<Truncate<D, S, R8>, R8, S> : nullptr;
}
template <class S>
Handler truncate_from(Type to, unsigned register_bytes) {
  switch (to) {
    case Type::u8:
      return truncate_to<uint8_t, S>(register_bytes);
    case Type::s8:
      return truncate_to<int8_t, S>(register_bytes);
    case Type::u16:
      return truncate_to<uint16_t, S>(register_bytes);
    case Type::s16:
      return truncate_to<int16_t, S>(register_bytes);
    case Type::u32:
      return truncate_to<uint32_t, S>(register_bytes);
    case Type::s32:
      return truncate_to<int32_t, S>(register_bytes);
    case Type::u64:
      return truncate_to<uint64_t, S>(register_bytes);
    case Type::s64:
      return truncate_to<int64_t, S>(register_bytes);
    default:
      return nullptr;
  }
}
Handler truncate(Type to, Type from, unsigned register_bytes) {
  switch (from) {
    case Type::u8:
      return truncate_from<uint8_t>(to, register_bytes);
    case Type::s8:
      return truncate_from<int8_t>(to, register_bytes);
    case Type::u16:
      return truncate_from<uint16_t>(to, register_bytes);
    case Type::s16:
      return truncate_from<int16_t>(to, register_bytes);
    case Type::u32:
      return truncate_from<uint32_t>(to, register_bytes);
    case Type::s32:
      return truncate_from<int32_t>(to, register_bytes);
    case Type::u64:
      return truncate_from<uint64_t>(to, register_bytes);
    case Type::s64:
      return truncate_from<int64_t>(to, register_bytes);
    default:
      return nullptr;
  }
}

/// The conversions that compilers use most, as vector loops.
Handler common_conversion(const Conversion& c, unsigned register_bytes) {
  if (c.saturate || c.flush) return nullptr;
  if (!is_float(c.to) && !is_float(c.from)) return truncate(c.to, c.from, register_bytes);
  if (c.to == Type::f64 && c.from == Type::f32 && !c.integral) return map1<Widen, double, float>;
  if (c.rounding != Rounding::nearest || c.integral) return nullptr;
  if (c.to == Type::f32 && c.from == Type::f64) return map1<Narrow, float, double>;
  if (c.to == Type::f32 && c.from == Type::s32) return map1<FromInteger<int32_t, float>, float, int32_t>;
  if (c.to == Type::f32 && c.from == Type::u32) return map1<FromInteger<uint32_t, float>, float, uint32_t>;
  if (c.to == Type::f64 && c.from == Type::s32) return map1<FromInteger<int32_t, double>, double, int32_t>;
  if (c.to == Type::f64 && c.from == Type::u32) return map1<FromInteger<uint32_t, double>, double, uint32_t>;
  return nullptr;
}

template <class To, class From>
void run_cvt(Warp& w, const Inst& i, uint32_t mask) {
  const Conversion c = Conversion::unpacked(i.aux);
  const auto* a = w.row<From>(i.a);
  auto* dst = w.row<To>(i.dst);
  const unsigned register_bytes = static_cast<unsigned>(i.imm);
  for (int l = 0; l < kLanes; ++l) {
    if ((mask >> l & 1) != 0) dst[l] = static_cast<To>(convert(c, a[l], register_bytes));
  }
}
/// d = {a, b} as the upper and the lower half.
void run_cvt_pair(Warp& w, const Inst& i, uint32_t mask) {
  const Conversion c = Conversion::unpacked(i.aux);
  const auto *a = w.row<uint32_t>(i.a), *b = w.row<uint32_t>(i.b);
  auto* dst = w.row<uint32_t>(i.dst);
  for (int l = 0; l < kLanes; ++l) {
    if ((mask >> l & 1) != 0)
      dst[l] = static_cast<uint32_t>(convert(c, a[l], 2) << 16 | (convert(c, b[l], 2) & 0xFFFF));
  }
}

void cvt(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  Conversion c;
  const int integral = m.take_one({"rni", "rzi", "rmi", "rpi"}),
            mode = m.take_one({"rn", "rz", "rm", "rp", "rna"});
  c.integral = integral >= 0;
  c.rounding = integral >= 0 ? static_cast<Rounding>(integral)
               : mode >= 0   ? static_cast<Rounding>(mode)
                             : Rounding::nearest;
  c.flush = m.take("ftz");
  c.saturate = m.take("sat");
  if (m.take("satfinite") || m.take("relu")) m.unknown();
  c.to = m.expect_type();
  c.from = m.expect_type();
  inst.group = Class::conversion;
  if (c.to == Type::f16x2 || c.to == Type::bf16x2) {
    if (c.from != Type::f32 || mode < 0) m.unknown();
    d.expect_count(s, 3, 3);
    c.to = c.to == Type::f16x2 ? Type::f16 : Type::bf16;
    inst.run = run_cvt_pair;
    inst.dst = d.destination(s, 0, Type::b32);
    inst.a = d.source(s, 1, Type::f32);
    inst.b = d.source(s, 2, Type::f32);
    inst.aux = c.packed();
    return;
  }
  const bool to_float = is_float(c.to), from_float = is_float(c.from);
  // Where the result may be inexact, PTX demands a rounding mode of the right kind.
  if (from_float && !to_float && integral < 0) m.unknown();
  if (to_float && (mode < 0) && !c.integral &&
      (!from_float || bytes_of(c.to) < bytes_of(c.from) || c.to == Type::tf32))
    m.unknown();
  if (!to_float && !from_float && (mode >= 0 || integral >= 0)) m.unknown();
  if (mode == 4 && c.to != Type::tf32) m.unknown();
  if (c.to == Type::pred || c.from == Type::pred || c.from == Type::tf32 || bytes_of(c.to) == 0) m.unknown();
  d.expect_count(s, 2, 2);
  const Type target = d.register_type(s.operands[0]);
  const unsigned register_bytes = target == Type::none ? bytes_of(c.to) : bytes_of(target);
  if (register_bytes < bytes_of(c.to)) d.fail("cvt: the destination is narrower than its type");
  inst.dst = d.destination(s.operands[0], register_bytes == 8 ? Type::b64 : c.to);
  inst.a = d.source(s, 1, c.from);
  inst.run = common_conversion(c, register_bytes);
  if (inst.run != nullptr) return;
  inst.aux = c.packed();
  inst.imm = register_bytes;
  const bool wide = register_bytes == 8, from_wide = bytes_of(c.from) == 8;
  if (wide)
    inst.run = from_wide ? run_cvt<uint64_t, uint64_t> : run_cvt<uint64_t, uint32_t>;
  else
    inst.run = from_wide ? run_cvt<uint32_t, uint64_t> : run_cvt<uint32_t, uint32_t>;
}

// ---- generic addresses

struct AddWindow {
  static uint64_t run(uint64_t a, uint64_t b) { return a + b; }
};
uint64_t window_base(Modifiers& m) {
  // Global and constant addresses are generic ones; the rest lie in windows.
  switch (m.take_one({"global", "const", "shared", "local", "param", "shared::cta", "param::entry"})) {
    case 0:
    case 1:
      return 0;
    case 2:
    case 5:
      return kSharedWindow;
    case 3:
      return kLocalWindow;
    case 4:
    case 6:
      return kParamWindow;
    default:
      m.unknown();
  }
}
void cvta(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  const bool to = m.take("to");
  const uint64_t base = window_base(m);
  const Type type = m.expect_type();
  if (type != Type::u64) m.unknown();
  d.expect_count(s, 2, 2);
  inst.run = map2<AddWindow, uint64_t, uint64_t, uint64_t>;
  inst.dst = d.destination(s, 0, type);
  const Operand& from = s.operands[1];
  if (from.kind == Operand::Kind::symbol && d.place(from.symbol).is_local)
    d.fail("cvta of a local variable's name is not supported; move it to a register first");
  inst.a = d.source(s, 1, type);
  inst.b = d.constant(to ? uint64_t{0} - base : base, 8);
  inst.group = Class::integer;
}

void run_isspacep(Warp& w, const Inst& i, uint32_t mask) {
  const auto* a = w.row<uint64_t>(i.a);
  uint32_t bits = 0;
  for (int l = 0; l < kLanes; ++l)
    bits |= window_of(a[l]) == window_of(static_cast<uint64_t>(i.imm)) ? 1U << l : 0U;
  uint32_t& p = w.predicate(i.dst);
  p = (p & ~mask) | (bits & mask);
}
void isspacep(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  const uint64_t base = window_base(m);
  d.expect_count(s, 2, 2);
  inst.run = run_isspacep;
  inst.imm = static_cast<int64_t>(base == 0 ? kDeviceWindow : base);
  inst.dst = d.predicate_destination(s.operands[0]);
  inst.a = d.source(s, 1, Type::u64);
  inst.group = Class::integer;
}

}  // namespace

const DecodeTable& convert_instructions() {
  static const DecodeTable table = {{"mov", mov}, {"cvt", cvt}, {"cvta", cvta}, {"isspacep", isspacep}};
  return table;
}

}  // namespace tr0n::emulator
