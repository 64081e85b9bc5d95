#include "emulator/exec/half.h"

#include "emulator/exec/lanes.h"

namespace tr0n::emulator {
namespace {

/// x rounded to `digits` significant bits with least exponent `lowest` (that of the last bit of subnormals).
double rounded_to(double x, int digits, int lowest, Rounding mode) {
  if (x == 0 || !std::isfinite(x)) return x;
  int exponent = 0;
  std::frexp(x, &exponent);
  const int last = std::max(exponent - digits, lowest);
  const double scaled = std::ldexp(std::fabs(x), -last), below = std::floor(scaled), rest = scaled - below;
  bool up = false;
  switch (mode) {
    case Rounding::nearest:
      up = rest > 0.5 || (rest == 0.5 && std::fmod(below, 2) != 0);
      break;
    case Rounding::away:
      up = rest >= 0.5;
      break;
    case Rounding::zero:
      break;
    case Rounding::down:
      up = rest > 0 && x < 0;
      break;
    case Rounding::up:
      up = rest > 0 && x > 0;
      break;
  }
  return std::copysign(std::ldexp(below + (up ? 1 : 0), last), x);
}

/// Where an overflow goes: infinity, or the largest finite number in the modes that round towards zero there.
double bounded(double x, double largest, Rounding mode) {
  if (!(std::fabs(x) > largest) || std::isinf(x)) return x;
  const bool stays =
      mode == Rounding::zero || (mode == Rounding::down && x > 0) || (mode == Rounding::up && x < 0);
  return stays ? std::copysign(largest, x) : std::copysign(std::numeric_limits<double>::infinity(), x);
}

}  // namespace

float half_to_float(uint16_t bits) {
  const uint32_t exponent = bits >> 10 & 0x1F, mantissa = bits & 0x3FF;
  float magnitude = 0;
  if (exponent == 31) {
    magnitude =
        mantissa != 0 ? std::numeric_limits<float>::quiet_NaN() : std::numeric_limits<float>::infinity();
  } else {
    magnitude = exponent == 0
                    ? std::ldexp(static_cast<float>(mantissa), -24)
                    : std::ldexp(static_cast<float>(mantissa | 0x400), static_cast<int>(exponent) - 25);
  }
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

float bfloat_to_float(uint16_t bits) { return bits_to_float(uint32_t{bits} << 16); }

uint16_t half_from(double x, Rounding mode) {
  if (std::isnan(x)) return 0x7FFF;
  const double value = bounded(rounded_to(x, 11, -24, mode), 65504, mode);
  const auto sign = static_cast<uint16_t>(std::signbit(x) ? 0x8000 : 0);
  const double magnitude = std::fabs(value);
  if (std::isinf(magnitude)) return sign | 0x7C00;
  if (magnitude < 0x1p-14) return static_cast<uint16_t>(sign | static_cast<uint16_t>(magnitude * 0x1p24));
  int exponent = 0;
  const double fraction = std::frexp(magnitude, &exponent);
  return static_cast<uint16_t>(sign | (exponent + 14) << 10 | (static_cast<int>(fraction * 2048) & 0x3FF));
}

uint16_t bfloat_from(double x, Rounding mode) {
  if (std::isnan(x)) return 0x7FFF;
  const double value = bounded(rounded_to(x, 8, -133, mode), 0x1.FEp127, mode);
  return static_cast<uint16_t>(float_to_bits(static_cast<float>(value)) >> 16);
}

uint32_t tf32_from(float x, Rounding mode) {
  if (x != x) return 0x7FFFFFFF;
  const uint32_t bits = float_to_bits(x);
  if ((bits & 0x7F800000) == 0x7F800000) return bits;
  const uint32_t rest = bits & 0x1FFF, kept = bits & ~uint32_t{0x1FFF};
  bool up = false;
  if (mode == Rounding::away) up = rest >= 0x1000;
  if (mode == Rounding::nearest) up = rest > 0x1000 || (rest == 0x1000 && (kept & 0x2000) != 0);
  return up ? kept + 0x2000 : kept;
}

namespace {

struct Half {
  static float load(uint16_t bits) { return half_to_float(bits); }
  static uint16_t store(double x) { return half_from(x, Rounding::nearest); }
};
struct Bfloat {
  static float load(uint16_t bits) { return bfloat_to_float(bits); }
  static uint16_t store(double x) { return bfloat_from(x, Rounding::nearest); }
};

enum class HalfOp { add, sub, mul, fma, min, max, neg, abs };

// Sums and products of 11-bit numbers are exact in double precision up to far tails that round the same way;
// fma's sum is exact or has its sticky part within double's 53 bits for all but opposite extremes.
template <class Format, HalfOp Op, bool Sat>
uint16_t half_op(uint16_t a, uint16_t b, uint16_t c) {
  if constexpr (Op == HalfOp::neg) return a ^ 0x8000;
  if constexpr (Op == HalfOp::abs) return a & 0x7FFF;
  const double x = Format::load(a), y = Format::load(b);
  double r = 0;
  if constexpr (Op == HalfOp::add) r = x + y;
  if constexpr (Op == HalfOp::sub) r = x - y;
  if constexpr (Op == HalfOp::mul) r = x * y;
  if constexpr (Op == HalfOp::fma) r = x * y + static_cast<double>(Format::load(c));
  if constexpr (Op == HalfOp::min)
    r = x != x ? y : y != y ? x : (x < y || (x == y && std::signbit(x))) ? x : y;
  if constexpr (Op == HalfOp::max)
    r = x != x ? y : y != y ? x : (x > y || (x == y && !std::signbit(x))) ? x : y;
  if constexpr (Sat) r = saturated(r);
  return Format::store(r);
}

template <class Format, HalfOp Op, bool Sat>
void run_half(Warp& w, const Inst& i, uint32_t mask) {
  const auto *a = w.row<uint32_t>(i.a), *b = w.row<uint32_t>(i.b), *c = w.row<uint32_t>(i.c);
  write_lanes(w.row<uint32_t>(i.dst), mask, [=](int l) {
    return uint32_t{half_op<Format, Op, Sat>(static_cast<uint16_t>(a[l]), static_cast<uint16_t>(b[l]),
                                             static_cast<uint16_t>(c[l]))};
  });
}
template <class Format, HalfOp Op, bool Sat>
void run_half2(Warp& w, const Inst& i, uint32_t mask) {
  const auto *a = w.row<uint32_t>(i.a), *b = w.row<uint32_t>(i.b), *c = w.row<uint32_t>(i.c);
  write_lanes(w.row<uint32_t>(i.dst), mask, [=](int l) {
    const uint16_t low = half_op<Format, Op, Sat>(static_cast<uint16_t>(a[l]), static_cast<uint16_t>(b[l]),
                                                  static_cast<uint16_t>(c[l]));
    const uint16_t high =
        half_op<Format, Op, Sat>(static_cast<uint16_t>(a[l] >> 16), static_cast<uint16_t>(b[l] >> 16),
                                 static_cast<uint16_t>(c[l] >> 16));
    return uint32_t{low} | uint32_t{high} << 16;
  });
}

template <HalfOp Op>
Handler half_handler(Type type, bool sat) {
  switch (type) {
    case Type::f16:
      return sat ? run_half<Half, Op, true> : run_half<Half, Op, false>;
    case Type::f16x2:
      return sat ? run_half2<Half, Op, true> : run_half2<Half, Op, false>;
    case Type::bf16:
      return sat ? nullptr : run_half<Bfloat, Op, false>;
    case Type::bf16x2:
      return sat ? nullptr : run_half2<Bfloat, Op, false>;
    default:
      return nullptr;
  }
}

}  // namespace

Handler half_arithmetic(const std::string& opcode, Type type, Modifiers& m) {
  m.take("rn");
  const bool sat = m.take("sat");
  if (opcode == "add") return half_handler<HalfOp::add>(type, sat);
  if (opcode == "sub") return half_handler<HalfOp::sub>(type, sat);
  if (opcode == "mul") return half_handler<HalfOp::mul>(type, sat);
  if (opcode == "fma") return half_handler<HalfOp::fma>(type, sat);
  if (opcode == "min") return half_handler<HalfOp::min>(type, false);
  if (opcode == "max") return half_handler<HalfOp::max>(type, false);
  if (opcode == "neg") return half_handler<HalfOp::neg>(type, false);
  if (opcode == "abs") return half_handler<HalfOp::abs>(type, false);
  return nullptr;
}

}  // namespace tr0n::emulator
