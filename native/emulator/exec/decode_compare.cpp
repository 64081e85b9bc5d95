#include "emulator/exec/decoder.h"
#include "emulator/exec/lanes.h"

namespace tr0n::emulator {
namespace {

enum class Compare : uint8_t { eq, ne, lt, le, gt, ge, equ, neu, ltu, leu, gtu, geu, num, nan };

/// Ordered comparisons are false with a NaN, the ones with a u are true.
template <Compare C, class T>
bool compare(T a, T b) {
  if constexpr (C == Compare::eq) return a == b;
  if constexpr (C == Compare::ne) return a < b || a > b;
  if constexpr (C == Compare::lt) return a < b;
  if constexpr (C == Compare::le) return a <= b;
  if constexpr (C == Compare::gt) return a > b;
  if constexpr (C == Compare::ge) return a >= b;
  if constexpr (C == Compare::equ) return !(a < b || a > b);
  if constexpr (C == Compare::neu) return !(a == b);
  if constexpr (C == Compare::ltu) return !(a >= b);
  if constexpr (C == Compare::leu) return !(a > b);
  if constexpr (C == Compare::gtu) return !(a <= b);
  if constexpr (C == Compare::geu) return !(a < b);
  if constexpr (C == Compare::num) return a == a && b == b;
  return a != a || b != b;
}

/// aux: 0 alone, 1 and, 2 or, 3 xor with the predicate c; bit 8: c negated; bit 9: flush subnormals. list:
/// offset of q.
template <Compare C, class T>
uint32_t compared(const Warp& w, const Inst& i) {
  const auto* a = w.row<Element<T>>(i.a);
  const auto* b = w.row<Element<T>>(i.b);
  uint32_t bits = 0;
  if constexpr (std::is_same_v<T, float>) {
    if ((i.aux & 0x200) != 0) {
      for (int l = 0; l < kLanes; ++l) bits |= compare<C, T>(flush(a[l]), flush(b[l])) ? 1U << l : 0U;
      return bits;
    }
  }
  for (int l = 0; l < kLanes; ++l) bits |= compare<C, T>(value_of<T>(a[l]), value_of<T>(b[l])) ? 1U << l : 0U;
  return bits;
}

uint32_t combined(const Warp& w, const Inst& i, uint32_t bits) {
  if ((i.aux & 3) == 0) return bits;
  const uint32_t c = w.predicate(i.c) ^ ((i.aux & 0x100) != 0 ? ~0U : 0U);
  return (i.aux & 3) == 1 ? bits & c : (i.aux & 3) == 2 ? bits | c : bits ^ c;
}

template <Compare C, class T>
void run_setp(Warp& w, const Inst& i, uint32_t mask) {
  const uint32_t bits = compared<C, T>(w, i);
  const uint32_t p = combined(w, i, bits), q = i.list == 0 ? 0 : combined(w, i, ~bits);
  uint32_t& first = w.predicate(i.dst);
  first = (first & ~mask) | (p & mask);
  if (i.list != 0) {
    uint32_t& second = w.predicate(i.list);
    second = (second & ~mask) | (q & mask);
  }
}

/// set: imm is the value of true.
template <Compare C, class T>
void run_set(Warp& w, const Inst& i, uint32_t mask) {
  const uint32_t bits = combined(w, i, compared<C, T>(w, i)), truth = static_cast<uint32_t>(i.imm);
  write_lanes(w.row<uint32_t>(i.dst), mask, [=](int l) { return (bits >> l & 1) != 0 ? truth : 0U; });
}

template <template <Compare, class> class Pick, class T>
Handler by_compare(Compare c) {
  switch (c) {
    case Compare::eq:
      return Pick<Compare::eq, T>::run;
    case Compare::ne:
      return Pick<Compare::ne, T>::run;
    case Compare::lt:
      return Pick<Compare::lt, T>::run;
    case Compare::le:
      return Pick<Compare::le, T>::run;
    case Compare::gt:
      return Pick<Compare::gt, T>::run;
    case Compare::ge:
      return Pick<Compare::ge, T>::run;
    default:
      break;
  }
  if constexpr (std::is_floating_point_v<T>) {
    switch (c) {
      case Compare::equ:
        return Pick<Compare::equ, T>::run;
      case Compare::neu:
        return Pick<Compare::neu, T>::run;
      case Compare::ltu:
        return Pick<Compare::ltu, T>::run;
      case Compare::leu:
        return Pick<Compare::leu, T>::run;
      case Compare::gtu:
        return Pick<Compare::gtu, T>::run;
      case Compare::geu:
        return Pick<Compare::geu, T>::run;
      case Compare::num:
        return Pick<Compare::num, T>::run;
      case Compare::nan:
        return Pick<Compare::nan, T>::run;
      default:
        break;
    }
  }
  return nullptr;
}
template <Compare C, class T>
struct SetpOf {
  static constexpr Handler run = run_setp<C, T>;
};
template <Compare C, class T>
struct SetOf {
  static constexpr Handler run = run_set<C, T>;
};
template <template <Compare, class> class Pick>
Handler by_type(Compare c, Type type) {
  const bool equality = c == Compare::eq || c == Compare::ne;
  switch (type) {
    case Type::b16:
      return equality ? by_compare<Pick, uint16_t>(c) : nullptr;
    case Type::b32:
      return equality ? by_compare<Pick, uint32_t>(c) : nullptr;
    case Type::b64:
      return equality ? by_compare<Pick, uint64_t>(c) : nullptr;
    case Type::u16:
      return by_compare<Pick, uint16_t>(c);
    case Type::u32:
      return by_compare<Pick, uint32_t>(c);
    case Type::u64:
      return by_compare<Pick, uint64_t>(c);
    case Type::s16:
      return by_compare<Pick, int16_t>(c);
    case Type::s32:
      return by_compare<Pick, int32_t>(c);
    case Type::s64:
      return by_compare<Pick, int64_t>(c);
    case Type::f32:
      return by_compare<Pick, float>(c);
    case Type::f64:
      return by_compare<Pick, double>(c);
    default:
      return nullptr;
  }
}

Compare take_compare(Modifiers& m) {
  const int index = m.take_one(
      {"eq", "ne", "lt", "le", "gt", "ge", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"});
  if (index >= 0) return static_cast<Compare>(index);
  // lo, ls, hi and hs are lt, le, gt and ge of unsigned integers.
  const int other = m.take_one({"lo", "ls", "hi", "hs"});
  if (other < 0) m.unknown();
  return static_cast<Compare>(static_cast<int>(Compare::lt) + other);
}

/// The optional ".and", a, b, c part of setp and set.
void comparison(Decoder& d, const Statement& s, Modifiers& m, Inst& inst, Type type, size_t first,
                int combination) {
  inst.a = d.source(s, first, type);
  inst.b = d.source(s, first + 1, type);
  inst.aux |= static_cast<uint32_t>(combination);
  d.expect_count(s, first + (combination > 0 ? 3 : 2), first + (combination > 0 ? 3 : 2));
  if (combination > 0) {
    bool negated = false;
    inst.c = d.predicate_source(s.operands[first + 2], negated);
    inst.aux |= negated ? 0x100 : 0;
  }
  inst.group = type == Type::f64 ? Class::fp64 : type == Type::f32 ? Class::fp32 : Class::integer;
  (void)m;
}

void setp(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  const Compare c = take_compare(m);
  const int combination = m.take_one({"and", "or", "xor"}) + 1;
  if (m.take("ftz")) inst.aux |= 0x200;
  const Type type = m.expect_type();
  inst.run = by_type<SetpOf>(c, type);
  if (inst.run == nullptr) m.unknown();
  comparison(d, s, m, inst, type, s.paired ? 2 : 1, combination);
  inst.dst = d.predicate_destination(s.operands[0]);
  if (s.paired) inst.list = d.predicate_destination(s.operands[1]);
}

void set(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  const Compare c = take_compare(m);
  const int combination = m.take_one({"and", "or", "xor"}) + 1;
  if (m.take("ftz")) inst.aux |= 0x200;
  const Type result = m.expect_type(), type = m.expect_type();
  inst.run = by_type<SetOf>(c, type);
  if (inst.run == nullptr || bytes_of(result) != 4) m.unknown();
  inst.imm = result == Type::f32 ? 0x3F800000 : 0xFFFFFFFF;
  comparison(d, s, m, inst, type, 1, combination);
  inst.dst = d.destination(s, 0, result);
}

template <class T>
void run_selp(Warp& w, const Inst& i, uint32_t mask) {
  const auto *a = w.row<T>(i.a), *b = w.row<T>(i.b);
  const uint32_t p = w.predicate(i.c) ^ i.aux;
  write_lanes(w.row<T>(i.dst), mask, [=](int l) { return (p >> l & 1) != 0 ? a[l] : b[l]; });
}
void selp(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  const Type type = m.expect_type();
  if (bytes_of(type) < 2) m.unknown();
  d.expect_count(s, 4, 4);
  inst.run = bytes_of(type) == 8 ? run_selp<uint64_t> : run_selp<uint32_t>;
  inst.dst = d.destination(s, 0, type);
  inst.a = d.source(s, 1, type);
  inst.b = d.source(s, 2, type);
  bool negated = false;
  inst.c = d.predicate_source(s.operands[3], negated);
  inst.aux = negated ? ~0U : 0U;
  inst.group = Class::move;
}

/// a where c ≥ 0, else b; a NaN in c chooses b, -0 counts as ≥ 0.
template <class T, class C>
void run_slct(Warp& w, const Inst& i, uint32_t mask) {
  const auto *a = w.row<T>(i.a), *b = w.row<T>(i.b);
  const auto* c = w.row<C>(i.c);
  const bool ftz = i.aux != 0;
  write_lanes(w.row<T>(i.dst), mask, [=](int l) {
    if constexpr (std::is_same_v<C, float>)
      return (ftz ? flush(c[l]) : c[l]) >= 0 ? a[l] : b[l];
    else
      return c[l] >= 0 ? a[l] : b[l];
  });
}
void slct(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  inst.aux = m.take("ftz") ? 1 : 0;
  const Type type = m.expect_type(), selector = m.expect_type();
  if (bytes_of(type) < 2 || (selector != Type::s32 && selector != Type::f32)) m.unknown();
  d.expect_count(s, 4, 4);
  if (selector == Type::f32)
    inst.run = bytes_of(type) == 8 ? run_slct<uint64_t, float> : run_slct<uint32_t, float>;
  else
    inst.run = bytes_of(type) == 8 ? run_slct<uint64_t, int32_t> : run_slct<uint32_t, int32_t>;
  inst.dst = d.destination(s, 0, type);
  inst.a = d.source(s, 1, type);
  inst.b = d.source(s, 2, type);
  inst.c = d.source(s, 3, selector);
  inst.group = Class::move;
}

}  // namespace

const DecodeTable& compare_instructions() {
  static const DecodeTable table = {{"setp", setp}, {"set", set}, {"selp", selp}, {"slct", slct}};
  return table;
}

}  // namespace tr0n::emulator
