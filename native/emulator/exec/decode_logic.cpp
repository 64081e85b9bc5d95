#include "emulator/exec/decoder.h"
#include "emulator/exec/lanes.h"

namespace tr0n::emulator {
namespace {

struct And {
  template <class T>
  static T run(T a, T b) {
    return a & b;
  }
};
struct Or {
  template <class T>
  static T run(T a, T b) {
    return a | b;
  }
};
struct Xor {
  template <class T>
  static T run(T a, T b) {
    return a ^ b;
  }
};
struct Not {
  template <class T>
  static T run(T a) {
    return static_cast<T>(~a);
  }
};
struct CNot {
  template <class T>
  static T run(T a) {
    return a == 0;
  }
};
// Shifts past the width give zero, or the sign.
struct Shl {
  template <class T>
  static T run(T a, uint32_t b) {
    return b >= 8 * sizeof(T) ? T{0} : static_cast<T>(a << b);
  }
};
struct Shr {
  template <class T>
  static T run(T a, uint32_t b) {
    constexpr uint32_t last = 8 * sizeof(T) - 1;
    if (std::is_signed_v<T>) return static_cast<T>(a >> (b > last ? last : b));
    return b > last ? T{0} : static_cast<T>(a >> b);
  }
};
/// The upper (shl) or lower (shr) word of the two words b:a, shifted.
template <bool Left, bool Wrap>
struct Shf {
  static uint32_t run(uint32_t a, uint32_t b, uint32_t c) {
    const uint32_t n = Wrap ? c & 31 : c < 32 ? c : 32;
    const uint64_t both = uint64_t{b} << 32 | a;
    return static_cast<uint32_t>(Left ? (both << n) >> 32 : both >> n);
  }
};

template <class Op>
Handler bits2(Type type) {
  switch (type) {
    case Type::b16:
      return map2<Op, uint16_t, uint16_t, uint16_t>;
    case Type::b32:
      return map2<Op, uint32_t, uint32_t, uint32_t>;
    case Type::b64:
      return map2<Op, uint64_t, uint64_t, uint64_t>;
    default:
      return nullptr;
  }
}
template <class Op>
Handler bits1(Type type) {
  switch (type) {
    case Type::b16:
      return map1<Op, uint16_t, uint16_t>;
    case Type::b32:
      return map1<Op, uint32_t, uint32_t>;
    case Type::b64:
      return map1<Op, uint64_t, uint64_t>;
    default:
      return nullptr;
  }
}

/// Predicates: whole warps in one word. aux: which operation.
void run_predicates(Warp& w, const Inst& i, uint32_t mask) {
  const uint32_t a = w.predicate(i.a) ^ (i.imm & 1 ? ~0U : 0U), b = w.predicate(i.b) ^ (i.imm & 2 ? ~0U : 0U);
  const uint32_t result = i.aux == 0 ? a & b : i.aux == 1 ? a | b : i.aux == 2 ? a ^ b : ~a;
  uint32_t& p = w.predicate(i.dst);
  p = (p & ~mask) | (result & mask);
}

void logic(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  const Type type = m.expect_type();
  const bool unary = s.opcode == "not" || s.opcode == "cnot";
  d.expect_count(s, unary ? 2 : 3, unary ? 2 : 3);
  inst.group = Class::integer;
  if (type == Type::pred) {
    if (s.opcode == "cnot") m.unknown();
    bool first = false, second = false;
    inst.run = run_predicates;
    inst.aux = s.opcode == "and" ? 0 : s.opcode == "or" ? 1 : s.opcode == "xor" ? 2 : 3;
    inst.dst = d.predicate_destination(s.operands[0]);
    inst.a = d.predicate_source(s.operands[1], first);
    inst.b = unary ? inst.a : d.predicate_source(s.operands[2], second);
    inst.imm = (first ? 1 : 0) | (second ? 2 : 0);
    return;
  }
  if (s.opcode == "and") inst.run = bits2<And>(type);
  if (s.opcode == "or") inst.run = bits2<Or>(type);
  if (s.opcode == "xor") inst.run = bits2<Xor>(type);
  if (s.opcode == "not") inst.run = bits1<Not>(type);
  if (s.opcode == "cnot") inst.run = bits1<CNot>(type);
  if (inst.run == nullptr) m.unknown();
  inst.dst = d.destination(s, 0, type);
  inst.a = d.source(s, 1, type);
  if (!unary) inst.b = d.source(s, 2, type);
}

void shift(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  const Type type = m.expect_type();
  const bool left = s.opcode == "shl";
  switch (type) {
    case Type::b16:
      inst.run = left ? map2<Shl, uint16_t, uint16_t, uint32_t> : map2<Shr, uint16_t, uint16_t, uint32_t>;
      break;
    case Type::b32:
      inst.run = left ? map2<Shl, uint32_t, uint32_t, uint32_t> : map2<Shr, uint32_t, uint32_t, uint32_t>;
      break;
    case Type::b64:
      inst.run = left ? map2<Shl, uint64_t, uint64_t, uint32_t> : map2<Shr, uint64_t, uint64_t, uint32_t>;
      break;
    case Type::u16:
      inst.run = left ? nullptr : map2<Shr, uint16_t, uint16_t, uint32_t>;
      break;
    case Type::u32:
      inst.run = left ? nullptr : map2<Shr, uint32_t, uint32_t, uint32_t>;
      break;
    case Type::u64:
      inst.run = left ? nullptr : map2<Shr, uint64_t, uint64_t, uint32_t>;
      break;
    case Type::s16:
      inst.run = left ? nullptr : map2<Shr, int16_t, int16_t, uint32_t>;
      break;
    case Type::s32:
      inst.run = left ? nullptr : map2<Shr, int32_t, int32_t, uint32_t>;
      break;
    case Type::s64:
      inst.run = left ? nullptr : map2<Shr, int64_t, int64_t, uint32_t>;
      break;
    default:
      break;
  }
  if (inst.run == nullptr) m.unknown();
  d.expect_count(s, 3, 3);
  inst.dst = d.destination(s, 0, type);
  inst.a = d.source(s, 1, type);
  inst.b = d.source(s, 2, Type::u32);
  inst.group = Class::integer;
}

void shf(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  const int left = m.take_one({"r", "l"}), wrap = m.take_one({"clamp", "wrap"});
  if (left < 0 || wrap < 0 || m.expect_type() != Type::b32) m.unknown();
  using W = uint32_t;
  if (left == 1)
    inst.run = wrap == 1 ? map3<Shf<true, true>, W, W, W, W> : map3<Shf<true, false>, W, W, W, W>;
  else
    inst.run = wrap == 1 ? map3<Shf<false, true>, W, W, W, W> : map3<Shf<false, false>, W, W, W, W>;
  d.expect_count(s, 4, 4);
  inst.dst = d.destination(s, 0, Type::b32);
  inst.a = d.source(s, 1, Type::b32);
  inst.b = d.source(s, 2, Type::b32);
  inst.c = d.source(s, 3, Type::u32);
  inst.group = Class::integer;
}

/// Bytes of b:a chosen by four nibbles; the modes compute the nibbles from the lowest bits of c.
uint32_t permuted(uint32_t a, uint32_t b, uint32_t c, uint32_t mode) {
  const uint64_t bytes = uint64_t{b} << 32 | a;
  uint32_t selectors = c & 0xFFFF;
  const uint32_t k = c & 3;
  const auto pack = [](uint32_t s0, uint32_t s1, uint32_t s2, uint32_t s3) {
    return s0 | s1 << 4 | s2 << 8 | s3 << 12;
  };
  switch (mode) {
    case 1:
      selectors = pack(k, k + 1, k + 2, k + 3);
      break;  // f4e
    case 2:
      selectors = pack(k, (k + 7) & 7, (k + 6) & 7, (k + 5) & 7);
      break;  // b4e
    case 3:
      selectors = pack(k, k, k, k);
      break;  // rc8
    case 4:
      selectors = pack(k, k > 1 ? k : 1, k > 2 ? k : 2, 3);
      break;  // ecl
    case 5:
      selectors = pack(0, k < 1 ? k : 1, k < 2 ? k : 2, k);
      break;  // ecr
    case 6:
      selectors = (k & 1) != 0 ? pack(2, 3, 2, 3) : pack(0, 1, 0, 1);
      break;  // rc16
    default:
      break;
  }
  uint32_t result = 0;
  for (int byte = 0; byte < 4; ++byte) {
    const uint32_t nibble = selectors >> 4 * byte & 0xF;
    uint32_t value = static_cast<uint32_t>(bytes >> 8 * (nibble & 7)) & 0xFF;
    if ((nibble & 8) != 0 && mode == 0) value = (value & 0x80) != 0 ? 0xFF : 0;
    result |= value << 8 * byte;
  }
  return result;
}
void run_prmt(Warp& w, const Inst& i, uint32_t mask) {
  const auto *a = w.row<uint32_t>(i.a), *b = w.row<uint32_t>(i.b), *c = w.row<uint32_t>(i.c);
  const uint32_t mode = i.aux;
  write_lanes(w.row<uint32_t>(i.dst), mask, [=](int l) { return permuted(a[l], b[l], c[l], mode); });
}
void prmt(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  if (m.expect_type() != Type::b32) m.unknown();
  inst.aux = static_cast<uint32_t>(m.take_one({"f4e", "b4e", "rc8", "ecl", "ecr", "rc16"}) + 1);
  inst.run = run_prmt;
  d.expect_count(s, 4, 4);
  inst.dst = d.destination(s, 0, Type::b32);
  inst.a = d.source(s, 1, Type::b32);
  inst.b = d.source(s, 2, Type::b32);
  inst.c = d.source(s, 3, Type::b32);
  inst.group = Class::integer;
}

void run_lop3(Warp& w, const Inst& i, uint32_t mask) {
  const auto *a = w.row<uint32_t>(i.a), *b = w.row<uint32_t>(i.b), *c = w.row<uint32_t>(i.c);
  const uint32_t table = i.aux;
  write_lanes(w.row<uint32_t>(i.dst), mask, [=](int l) {
    uint32_t result = 0;
    // Minterms: bit (4a + 2b + c) of the table.
    for (uint32_t term = 0; term < 8; ++term) {
      const uint32_t chosen = ((term & 4) != 0 ? a[l] : ~a[l]) & ((term & 2) != 0 ? b[l] : ~b[l]) &
                              ((term & 1) != 0 ? c[l] : ~c[l]);
      result |= (table >> term & 1) != 0 ? chosen : 0;
    }
    return result;
  });
}
void lop3(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  if (m.expect_type() != Type::b32) m.unknown();
  d.expect_count(s, 5, 5);
  if (s.operands[4].kind != Operand::Kind::immediate) d.fail("lop3's table has to be an immediate");
  inst.run = run_lop3;
  inst.dst = d.destination(s, 0, Type::b32);
  inst.a = d.source(s, 1, Type::b32);
  inst.b = d.source(s, 2, Type::b32);
  inst.c = d.source(s, 3, Type::b32);
  inst.aux = static_cast<uint32_t>(s.operands[4].value) & 0xFF;
  inst.group = Class::integer;
}

}  // namespace

const DecodeTable& logic_instructions() {
  static const DecodeTable table = {{"and", logic},  {"or", logic},  {"xor", logic}, {"not", logic},
                                    {"cnot", logic}, {"shl", shift}, {"shr", shift}, {"shf", shf},
                                    {"prmt", prmt},  {"lop3", lop3}};
  return table;
}

}  // namespace tr0n::emulator
