#include "emulator/exec/decode_float.h"

#include "emulator/exec/approximate.h"
#include "emulator/exec/half.h"
#include "emulator/exec/lanes.h"

namespace tr0n::emulator {
namespace {

// Every operation: operands flushed where .ftz says so, the result flushed, clamped where .sat says so, NaNs
// made canonical.
template <bool Ftz, bool Sat, class T>
T finish(T x) {
  if constexpr (Sat) return saturated(flushed<Ftz>(x));
  return canonical(flushed<Ftz>(x));
}
template <bool Ftz, bool Sat>
struct Add {
  template <class T>
  static T run(T a, T b) {
    return finish<Ftz, Sat>(flushed<Ftz>(a) + flushed<Ftz>(b));
  }
};
template <bool Ftz, bool Sat>
struct Sub {
  template <class T>
  static T run(T a, T b) {
    return finish<Ftz, Sat>(flushed<Ftz>(a) - flushed<Ftz>(b));
  }
};
template <bool Ftz, bool Sat>
struct Mul {
  template <class T>
  static T run(T a, T b) {
    return finish<Ftz, Sat>(flushed<Ftz>(a) * flushed<Ftz>(b));
  }
};
template <bool Ftz, bool Sat>
struct Fma {
  static float run(float a, float b, float c) {
    return finish<Ftz, Sat>(__builtin_fmaf(flushed<Ftz>(a), flushed<Ftz>(b), flushed<Ftz>(c)));
  }
  static double run(double a, double b, double c) { return finish<Ftz, Sat>(__builtin_fma(a, b, c)); }
};
template <bool Ftz, bool Sat>
struct Div {
  template <class T>
  static T run(T a, T b) {
    return finish<Ftz, Sat>(flushed<Ftz>(a) / flushed<Ftz>(b));
  }
};
template <bool Ftz, bool NaN>
struct Min {
  template <class T>
  static T run(T x, T y) {
    const T a = flushed<Ftz>(x), b = flushed<Ftz>(y);
    if (a != a || b != b) return canonical(NaN || (a != a && b != b) ? a + b : a != a ? b : a);
    return a < b || (a == b && std::signbit(a)) ? a : b;
  }
};
template <bool Ftz, bool NaN>
struct Max {
  template <class T>
  static T run(T x, T y) {
    const T a = flushed<Ftz>(x), b = flushed<Ftz>(y);
    if (a != a || b != b) return canonical(NaN || (a != a && b != b) ? a + b : a != a ? b : a);
    return a > b || (a == b && !std::signbit(a)) ? a : b;
  }
};
template <bool Ftz, bool>
struct Abs {
  template <class T>
  static T run(T a) {
    return std::fabs(flushed<Ftz>(a));
  }
};
template <bool Ftz, bool>
struct Neg {
  template <class T>
  static T run(T a) {
    return -flushed<Ftz>(a);
  }
};
template <bool Ftz, bool>
struct Sqrt {
  template <class T>
  static T run(T a) {
    return finish<Ftz, false>(std::sqrt(flushed<Ftz>(a)));
  }
};
template <bool Ftz, bool>
struct Rcp {
  template <class T>
  static T run(T a) {
    return finish<Ftz, false>(T{1} / flushed<Ftz>(a));
  }
};

template <template <bool, bool> class Op, class T>
Handler two(bool ftz, bool flag) {
  if (ftz) return flag ? map2<Op<true, true>, T, T, T> : map2<Op<true, false>, T, T, T>;
  return flag ? map2<Op<false, true>, T, T, T> : map2<Op<false, false>, T, T, T>;
}
template <template <bool, bool> class Op, class T>
Handler three(bool ftz, bool flag) {
  if (ftz) return flag ? map3<Op<true, true>, T, T, T, T> : map3<Op<true, false>, T, T, T, T>;
  return flag ? map3<Op<false, true>, T, T, T, T> : map3<Op<false, false>, T, T, T, T>;
}
template <template <bool, bool> class Op>
Handler one(Type type, bool ftz) {
  if (type == Type::f64) return map1<Op<false, false>, double, double>;
  return ftz ? map1<Op<true, false>, float, float> : map1<Op<false, false>, float, float>;
}
template <template <bool, bool> class Op>
Handler two_of(Type type, bool ftz, bool flag) {
  return type == Type::f64 ? two<Op, double>(false, flag) : two<Op, float>(ftz, flag);
}

// ---- rounding modes other than to nearest

uint32_t rounded_aux(RoundedOp op, Rounding mode, bool ftz, bool sat) {
  return static_cast<uint32_t>(op) | static_cast<uint32_t>(mode) << 8 | (ftz ? 1U << 16 : 0) |
         (sat ? 1U << 17 : 0);
}

template <class T>
void run_rounded(Warp& w, const Inst& i, uint32_t mask) {
  const auto *a = w.row<T>(i.a), *b = w.row<T>(i.b), *c = w.row<T>(i.c);
  auto* dst = w.row<T>(i.dst);
  const auto op = static_cast<RoundedOp>(i.aux & 0xFF);
  const auto mode = static_cast<Rounding>(i.aux >> 8 & 0xFF);
  const bool ftz = (i.aux >> 16 & 1) != 0 && sizeof(T) == 4, sat = (i.aux >> 17 & 1) != 0;
  for (int l = 0; l < kLanes; ++l) {
    if ((mask >> l & 1) == 0) continue;
    T x = a[l], y = b[l], z = c[l];
    if (ftz) x = flushed<true>(x), y = flushed<true>(y), z = flushed<true>(z);
    T result = rounded(op, mode, x, y, z);
    if (ftz) result = flushed<true>(result);
    dst[l] = sat ? saturated(result) : canonical(result);
  }
}

Handler rounded_handler(Type type) { return type == Type::f64 ? run_rounded<double> : run_rounded<float>; }

Type peek_type(const Statement& s) {
  for (const std::string& modifier : s.modifiers) {
    const Type type = type_named(modifier);
    if (type != Type::none) return type;
  }
  return Type::none;
}

void operands(Decoder& d, const Statement& s, Inst& inst, Type type, size_t sources) {
  d.expect_count(s, sources + 1, sources + 1);
  inst.dst = d.destination(s, 0, type);
  inst.a = d.source(s, 1, type);
  inst.b = sources > 1 ? d.source(s, 2, type) : inst.a;
  inst.c = sources > 2 ? d.source(s, 3, type) : inst.a;
  inst.group = type == Type::f64                                                    ? Class::fp64
               : bytes_of(type) == 2 || type == Type::f16x2 || type == Type::bf16x2 ? Class::fp16
                                                                                    : Class::fp32;
  inst.flops = 1;
}

// ---- functions of one operand

void rcp_sqrt(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  const bool approximate = m.take("approx");
  const int rounding = m.take_one({"rn", "rz", "rm", "rp"});
  const bool ftz = m.take("ftz");
  const Type type = m.expect_type();
  const bool is_sqrt = s.opcode == "sqrt";
  if (approximate == (rounding >= 0) || (type != Type::f32 && type != Type::f64)) m.unknown();
  operands(d, s, inst, type, 1);
  if (approximate) {
    inst.run = approximation(is_sqrt ? Approximation::sqrt : Approximation::rcp, type, ftz);
    if (inst.run == nullptr) m.unknown();
    inst.group = Class::special;
  } else if (rounding == 0) {
    inst.run = is_sqrt ? one<Sqrt>(type, ftz) : one<Rcp>(type, ftz);
  } else {
    inst.aux =
        rounded_aux(is_sqrt ? RoundedOp::sqrt : RoundedOp::rcp, static_cast<Rounding>(rounding), ftz, false);
    inst.run = rounded_handler(type);
  }
}

void approximate(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  if (!m.take("approx")) m.unknown();
  const bool ftz = m.take("ftz");
  const Type type = m.expect_type();
  const Approximation which = s.opcode == "ex2"    ? Approximation::ex2
                              : s.opcode == "lg2"  ? Approximation::lg2
                              : s.opcode == "sin"  ? Approximation::sin
                              : s.opcode == "cos"  ? Approximation::cos
                              : s.opcode == "tanh" ? Approximation::tanh
                                                   : Approximation::rsqrt;
  inst.run = approximation(which, type, ftz);
  if (inst.run == nullptr) m.unknown();
  operands(d, s, inst, type, 1);
  inst.group = Class::special;
}

struct Copysign {
  template <class T>
  static T run(T sign, T magnitude) {
    return std::copysign(magnitude, sign);
  }
};
void copysign(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  const Type type = m.expect_type();
  if (type != Type::f32 && type != Type::f64) m.unknown();
  operands(d, s, inst, type, 2);
  inst.run = type == Type::f64 ? map2<Copysign, double, double, double> : map2<Copysign, float, float, float>;
}

template <class T>
void run_testp(Warp& w, const Inst& i, uint32_t mask) {
  const auto* a = w.row<T>(i.a);
  uint32_t& p = w.predicate(i.dst);
  for (int l = 0; l < kLanes; ++l) {
    if ((mask >> l & 1) == 0) continue;
    const int kind = std::fpclassify(a[l]);
    bool is = false;
    switch (i.aux) {
      case 0:
        is = kind != FP_INFINITE && kind != FP_NAN;
        break;
      case 1:
        is = kind == FP_INFINITE;
        break;
      case 2:
        is = kind != FP_NAN;
        break;
      case 3:
        is = kind == FP_NAN;
        break;
      case 4:
        is = kind == FP_NORMAL;
        break;
      default:
        is = kind == FP_SUBNORMAL;
        break;
    }
    p = (p & ~(1U << l)) | (is ? 1U << l : 0);
  }
}
void testp(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  const int which = m.take_one({"finite", "infinite", "number", "notanumber", "normal", "subnormal"});
  const Type type = m.expect_type();
  if (which < 0 || (type != Type::f32 && type != Type::f64)) m.unknown();
  inst.aux = static_cast<uint32_t>(which);
  inst.run = type == Type::f64 ? run_testp<double> : run_testp<float>;
  d.expect_count(s, 2, 2);
  inst.dst = d.predicate_destination(s.operands[0]);
  inst.a = d.source(s, 1, type);
  inst.group = Class::fp32;
}

void fma(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  if (!decode_float_arithmetic(d, s, m, inst)) m.unknown();
}

}  // namespace

bool decode_float_arithmetic(Decoder& d, const Statement& s, Modifiers& m, Inst& inst) {
  const Type type = peek_type(s);
  if (!is_float(type) || type == Type::tf32) return false;
  m.take_type();
  if (type != Type::f32 && type != Type::f64) {
    operands(d, s, inst, type, s.operands.size() - 1);
    inst.run = half_arithmetic(s.opcode, type, m);
    if (inst.run == nullptr) m.unknown();
    if (type == Type::f16x2 || type == Type::bf16x2) inst.flops = 2;
    if (s.opcode == "fma") inst.flops = static_cast<uint8_t>(inst.flops * 2);
    return true;
  }
  const bool ftz = m.take("ftz");
  if (ftz && type == Type::f64) m.unknown();
  const std::string& op = s.opcode;
  if (op == "abs" || op == "neg") {
    operands(d, s, inst, type, 1);
    inst.run = op == "abs" ? one<Abs>(type, ftz) : one<Neg>(type, ftz);
    return true;
  }
  if (op == "min" || op == "max") {
    const bool nan = m.take("NaN");
    operands(d, s, inst, type, 2);
    inst.run = op == "min" ? two_of<Min>(type, ftz, nan) : two_of<Max>(type, ftz, nan);
    return true;
  }
  if (op == "div" && (m.take("approx") || m.take("full"))) {
    if (type != Type::f32) m.unknown();
    operands(d, s, inst, type, 2);
    inst.run = approximate_division(ftz);
    inst.group = Class::special;
    return true;
  }
  const int rounding = m.take_one({"rn", "rz", "rm", "rp"}, 0);
  const bool sat = m.take("sat");
  if (op == "add")
    operands(d, s, inst, type, 2),
        inst.run = two_of<Add>(type, ftz, sat),
        inst.aux = rounded_aux(RoundedOp::add, static_cast<Rounding>(rounding), ftz, sat);
  else if (op == "sub")
    operands(d, s, inst, type, 2),
        inst.run = two_of<Sub>(type, ftz, sat),
        inst.aux = rounded_aux(RoundedOp::sub, static_cast<Rounding>(rounding), ftz, sat);
  else if (op == "mul")
    operands(d, s, inst, type, 2),
        inst.run = two_of<Mul>(type, ftz, sat),
        inst.aux = rounded_aux(RoundedOp::mul, static_cast<Rounding>(rounding), ftz, sat);
  else if (op == "div")
    operands(d, s, inst, type, 2),
        inst.run = two_of<Div>(type, ftz, sat),
        inst.aux = rounded_aux(RoundedOp::div, static_cast<Rounding>(rounding), ftz, sat);
  else if (op == "fma" || op == "mad") {
    operands(d, s, inst, type, 3);
    inst.run = type == Type::f64 ? three<Fma, double>(false, sat) : three<Fma, float>(ftz, sat);
    inst.aux = rounded_aux(RoundedOp::fma, static_cast<Rounding>(rounding), ftz, sat);
    inst.flops = 2;
  } else {
    m.unknown();
  }
  if (rounding > 0) inst.run = rounded_handler(type);
  return true;
}

const DecodeTable& float_instructions() {
  static const DecodeTable table = {{"fma", fma},           {"rcp", rcp_sqrt},     {"sqrt", rcp_sqrt},
                                    {"ex2", approximate},   {"lg2", approximate},  {"sin", approximate},
                                    {"cos", approximate},   {"tanh", approximate}, {"rsqrt", approximate},
                                    {"copysign", copysign}, {"testp", testp}};
  return table;
}

}  // namespace tr0n::emulator
