#include "emulator/exec/convert.h"

#include <cfenv>
#include <cmath>

#include "emulator/exec/half.h"
#include "emulator/exec/lanes.h"

// Compiled with -frounding-math.
namespace tr0n::emulator {
namespace {

double float_value(Type type, uint64_t bits, bool flush_input) {
  switch (type) {
    case Type::f16:
      return static_cast<double>(half_to_float(static_cast<uint16_t>(bits)));
    case Type::bf16:
      return static_cast<double>(bfloat_to_float(static_cast<uint16_t>(bits)));
    case Type::f32: {
      const float x = bits_to_float(static_cast<uint32_t>(bits));
      return static_cast<double>(flush_input ? flush(x) : x);
    }
    default:
      return std::bit_cast<double>(bits);
  }
}

__int128 integer_value(Type type, uint64_t bits) {
  const unsigned width = 8 * bytes_of(type);
  if (!is_signed(type))
    return static_cast<__int128>(width == 64 ? bits : bits & ((uint64_t{1} << width) - 1));
  return static_cast<__int128>(static_cast<int64_t>(bits << (64 - width)) >> (64 - width));
}

double integral(double x, Rounding mode) {
  switch (mode) {
    case Rounding::zero:
      return std::trunc(x);
    case Rounding::down:
      return std::floor(x);
    case Rounding::up:
      return std::ceil(x);
    default: {
      const double below = std::floor(x), rest = x - below;
      if (!std::isfinite(x)) return x;
      const bool up = rest > 0.5 || (rest == 0.5 && std::fmod(below, 2) != 0);
      return std::copysign(up ? below + 1 : below, x);
    }
  }
}

struct Range {
  __int128 least, most;
};
Range range_of(Type type) {
  const unsigned width = 8 * bytes_of(type);
  const __int128 one = 1;
  if (is_signed(type)) return {-(one << (width - 1)), (one << (width - 1)) - 1};
  return {0, (one << width) - 1};
}

/// As bits of the type, extended to a register's width.
uint64_t integer_bits(Type type, __int128 value, unsigned register_bytes) {
  const unsigned width = 8 * bytes_of(type);
  auto bits = static_cast<uint64_t>(value);
  if (width < 64) {
    bits = is_signed(type) ? static_cast<uint64_t>(static_cast<int64_t>(bits << (64 - width)) >> (64 - width))
                           : bits & ((uint64_t{1} << width) - 1);
  }
  return register_bytes >= 8 ? bits : bits & ((uint64_t{1} << 8 * register_bytes) - 1);
}

uint64_t to_integer(const Conversion& c, double x, unsigned register_bytes) {
  const unsigned width = 8 * bytes_of(c.to);
  if (std::isnan(x)) {
    const bool zero = c.from != Type::f64 && width != 64;
    return integer_bits(c.to, zero ? __int128{0} : __int128{1} << (width - 1), register_bytes);
  }
  const double whole = integral(x, c.rounding);
  const Range range = range_of(c.to);
  // The bounds as doubles are exact powers of two, or one less than them, in which case ≥ the power is out of
  // range.
  const double above = std::ldexp(1.0, static_cast<int>(is_signed(c.to) ? width - 1 : width));
  if (whole >= above) return integer_bits(c.to, range.most, register_bytes);
  if (whole < static_cast<double>(range.least)) return integer_bits(c.to, range.least, register_bytes);
  return integer_bits(c.to, static_cast<__int128>(whole), register_bytes);
}

uint64_t to_float(const Conversion& c, double x) {
  if (c.integral) x = integral(x, c.rounding);
  const Rounding mode = c.integral ? Rounding::nearest : c.rounding;
  if (c.saturate) x = saturated(x);
  switch (c.to) {
    case Type::f64:
      return std::bit_cast<uint64_t>(canonical(x));
    case Type::f16:
      return half_from(x, mode);
    case Type::bf16:
      return bfloat_from(x, mode);
    case Type::tf32:
      return tf32_from(static_cast<float>(x), mode);
    default: {
      const float narrow = mode == Rounding::nearest ? static_cast<float>(x) : narrowed(mode, x);
      return float_to_bits(canonical(c.flush ? flush(narrow) : narrow));
    }
  }
}

uint64_t integer_to_float(const Conversion& c, __int128 value) {
  // 64 bits of mantissa hold every integer; one rounding follows.
  const auto exact = static_cast<long double>(value);
  constexpr int kModes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD, FE_TONEAREST};
  const int saved = std::fegetround();
  std::fesetround(kModes[static_cast<int>(c.rounding)]);
  volatile long double wide = exact;
  volatile double in_double = static_cast<double>(wide);
  volatile float in_single = static_cast<float>(wide);
  std::fesetround(saved);
  if (c.to == Type::f32) return float_to_bits(c.saturate ? saturated<float>(in_single) : in_single);
  if (c.to == Type::f64)
    return std::bit_cast<uint64_t>(c.saturate ? saturated<double>(in_double) : double{in_double});
  return to_float(c, static_cast<double>(exact));
}

}  // namespace

uint64_t convert(const Conversion& c, uint64_t bits, unsigned register_bytes) {
  if (is_float(c.from)) {
    const double x = float_value(c.from, bits, c.flush);
    return is_float(c.to) ? to_float(c, x) : to_integer(c, x, register_bytes);
  }
  __int128 value = integer_value(c.from, bits);
  if (is_float(c.to)) return integer_to_float(c, value);
  const Range range = range_of(c.to);
  if (c.saturate) value = value < range.least ? range.least : value > range.most ? range.most : value;
  return integer_bits(c.to, value, register_bytes);
}

}  // namespace tr0n::emulator
