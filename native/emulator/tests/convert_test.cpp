#include <algorithm>

#include "emulator/tests/exact.h"
#include "emulator/tests/table.h"

namespace tr0n::emulator::test {
namespace {

using Wide = __int128;

template <class T>
std::string name() {
  return (std::is_floating_point_v<T> ? "f"
          : std::is_signed_v<T>       ? "s"
                                      : "u") +
         std::to_string(8 * sizeof(T));
}

/// Integral values by truncation and the sign of what is left.
Wide integral(Quad x, int mode) {
  const auto whole = static_cast<Wide>(x);
  const Quad rest = x - static_cast<Quad>(whole);
  if (rest == 0) return whole;
  const Wide below = rest < 0 ? whole - 1 : whole, above = below + 1;
  switch (mode) {
    case 1:
      return whole;
    case 2:
      return below;
    case 3:
      return above;
    default: {
      const Quad part = x - static_cast<Quad>(below);
      if (part != static_cast<Quad>(0.5)) return part < static_cast<Quad>(0.5) ? below : above;
      return below % 2 == 0 ? below : above;
    }
  }
}

template <class D, class S>
void float_to_integer() {
  constexpr const char* kModes[] = {"rni", "rzi", "rmi", "rpi"};
  for (int m = 0; m < 4; ++m) {
    check1<D>(std::string("cvt.") + kModes[m] + "." + name<D>() + "." + name<S>(), edges<S>(), [&](S x) {
      if (std::isnan(x))
        return sizeof(S) == 8 || sizeof(D) == 8
                   ? static_cast<D>(std::make_unsigned_t<D>{1} << (8 * sizeof(D) - 1))
                   : D{0};
      const Quad q = x;
      if (q >= static_cast<Quad>(0x1p70)) return std::numeric_limits<D>::max();
      if (q <= -static_cast<Quad>(0x1p70)) return std::numeric_limits<D>::min();
      const Wide whole = integral(q, m);
      return static_cast<D>(
          std::clamp(whole, Wide{std::numeric_limits<D>::min()}, Wide{std::numeric_limits<D>::max()}));
    });
  }
}

template <class D, class S>
void integer_to_float() {
  constexpr const char* kModes[] = {"rn", "rz", "rm", "rp"};
  for (int m = 0; m < 4; ++m) {
    check1<D>(std::string("cvt.") + kModes[m] + "." + name<D>() + "." + name<S>(), edges<S>(),
              [&](S x) { return rounded<D>(static_cast<Quad>(x), static_cast<Mode>(m)); });
  }
}

template <class D, class S>
void integers() {
  check1<D>("cvt." + name<D>() + "." + name<S>(), edges<S>(), [](S x) { return static_cast<D>(x); });
  check1<D>("cvt.sat." + name<D>() + "." + name<S>(), edges<S>(), [](S x) {
    return static_cast<D>(
        std::clamp(Wide{x}, Wide{std::numeric_limits<D>::min()}, Wide{std::numeric_limits<D>::max()}));
  });
}

/// The value of a 16-bit float, by its definition.
double value16(uint32_t bits, int exponent_bits) {
  const int mantissa_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = static_cast<int>(bits >> mantissa_bits) & ((1 << exponent_bits) - 1),
            mantissa = static_cast<int>(bits) & ((1 << mantissa_bits) - 1);
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) return mantissa != 0 ? std::nan("") : sign * INFINITY;
  const double fraction = std::ldexp(mantissa, -mantissa_bits);
  return sign * (exponent == 0 ? std::ldexp(fraction, 1 - bias) : std::ldexp(1 + fraction, exponent - bias));
}

/// The nearest of all 65536 values, ties to the even one; beyond the largest by half a step: infinity.
uint32_t nearest16(double x, int exponent_bits) {
  if (std::isnan(x)) return 0x7FFF;
  const uint32_t sign = std::signbit(x) ? 0x8000 : 0,
                 infinite = static_cast<uint32_t>((1 << exponent_bits) - 1) << (15 - exponent_bits);
  uint32_t low = 0, high = infinite;  // magnitudes are in order
  const double magnitude = std::fabs(x);
  const auto value = [&](uint32_t bits) {
    return bits == infinite ? 2 * value16(infinite - 1, exponent_bits) - value16(infinite - 2, exponent_bits)
                            : value16(bits, exponent_bits);
  };
  if (magnitude >= value(infinite)) return sign | infinite;
  while (high - low > 1) {
    const uint32_t middle = (low + high) / 2;
    (value(middle) <= magnitude ? low : high) = middle;
  }
  const double below = magnitude - value(low), above = value(high) - magnitude;
  return sign | (below < above || (below == above && low % 2 == 0) ? low : high);
}

}  // namespace

TEST(convert_float_to_integer) {
  float_to_integer<int32_t, float>();
  float_to_integer<uint32_t, float>();
  float_to_integer<int64_t, float>();
  float_to_integer<uint64_t, float>();
  float_to_integer<int16_t, float>();
  float_to_integer<uint16_t, float>();
  float_to_integer<int32_t, double>();
  float_to_integer<uint32_t, double>();
  float_to_integer<int64_t, double>();
  float_to_integer<uint64_t, double>();
}

TEST(convert_integer_to_float) {
  integer_to_float<float, int32_t>();
  integer_to_float<float, uint32_t>();
  integer_to_float<float, int64_t>();
  integer_to_float<float, uint64_t>();
  integer_to_float<double, int64_t>();
  integer_to_float<double, uint64_t>();
  integer_to_float<double, int32_t>();
  integer_to_float<float, uint16_t>();
}

TEST(convert_integers) {
  integers<uint16_t, uint32_t>();
  integers<int16_t, int32_t>();
  integers<int16_t, uint32_t>();
  integers<uint32_t, uint64_t>();
  integers<int32_t, int64_t>();
  integers<uint64_t, int32_t>();
  integers<int64_t, int32_t>();
  integers<uint64_t, uint32_t>();
  integers<int32_t, int16_t>();
  integers<uint32_t, uint16_t>();
  // Narrower results are extended to the register.
  check1<int32_t>("cvt.s8.s32", edges<int32_t>(), [](int32_t x) { return int32_t{static_cast<int8_t>(x)}; });
  check1<uint32_t>("cvt.u8.u32", edges<uint32_t>(), [](uint32_t x) { return x & 255; });
  check1<int32_t>("cvt.sat.s8.s32", edges<int32_t>(), [](int32_t x) { return std::clamp(x, -128, 127); });
  check1<uint32_t>("cvt.u32.u8", edges<uint32_t>(), [](uint32_t x) { return x & 255; });
}

TEST(convert_floats) {
  constexpr const char* kModes[] = {"rn", "rz", "rm", "rp"};
  for (int m = 0; m < 4; ++m) {
    check1<float>(std::string("cvt.") + kModes[m] + ".f32.f64", edges<double>(),
                  [&](double x) { return rounded<float>(static_cast<Quad>(x), static_cast<Mode>(m)); });
  }
  check1<double>("cvt.f64.f32", edges<float>(),
                 [](float x) { return static_cast<double>(static_cast<Quad>(x)); });
  check1<float>("cvt.rn.ftz.f32.f64", edges<double>(),
                [](double x) { return flushed(rounded<float>(static_cast<Quad>(x), Mode::nearest)); });
  check1<float>("cvt.sat.f32.f32", edges<float>(), [](float x) { return clamped(x); });
  check1<float>("cvt.rn.sat.f32.f64", edges<double>(),
                [](double x) { return clamped(rounded<float>(static_cast<Quad>(x), Mode::nearest)); });
  constexpr const char* kIntegral[] = {"rni", "rzi", "rmi", "rpi"};
  for (int m = 0; m < 4; ++m) {
    check1<float>(std::string("cvt.") + kIntegral[m] + ".f32.f32", edges<float>(), [&](float x) {
      if (!(std::fabs(x) < 0x1p30f)) return x;
      return std::copysign(static_cast<float>(integral(x, m)), x);
    });
    check1<double>(std::string("cvt.") + kIntegral[m] + ".f64.f64", edges<double>(), [&](double x) {
      if (!(std::fabs(x) < 0x1p60)) return x;
      return std::copysign(static_cast<double>(integral(x, m)), x);
    });
  }
}

TEST(convert_tf32) {
  std::vector<float> v = edges<float>();
  for (int k = 0; k < 64; ++k)
    v.push_back(std::bit_cast<float>(0x3F800000U + static_cast<uint32_t>(k) * 0x800U + (k % 3 == 0 ? 1 : 0)));
  // 10 bits of mantissa; ties away from zero (.rna), or to even (.rn).
  const auto reference = [](float x, bool even) {
    if (!std::isfinite(x) || x == 0) return x;
    int exponent = 0;
    std::frexp(static_cast<double>(x), &exponent);
    const double unit = std::ldexp(1.0, std::max(exponent - 11, -136)),
                 scaled = std::fabs(static_cast<double>(x)) / unit;
    const double below = std::floor(scaled), rest = scaled - below;
    const bool up = rest > 0.5 || (rest == 0.5 && (!even || std::fmod(below, 2) == 1));
    return static_cast<float>(std::copysign((below + (up ? 1 : 0)) * unit, static_cast<double>(x)));
  };
  check1<uint32_t>("cvt.rna.tf32.f32", v, [&](float x) {
    return std::isnan(x) ? 0x7FFFFFFFU : std::bit_cast<uint32_t>(reference(x, false));
  });
  check1<uint32_t>("cvt.rn.tf32.f32", v, [&](float x) {
    return std::isnan(x) ? 0x7FFFFFFFU : std::bit_cast<uint32_t>(reference(x, true));
  });
}

TEST(convert_half) {
  std::vector<float> v = edges<float>();
  for (int k = 0; k < 300; ++k)
    v.push_back(std::ldexp(1.0f + 0.00048828125f * static_cast<float>(k % 5) + (k % 7 == 0 ? 1e-6f : 0),
                           k % 45 - 28));
  std::vector<uint16_t> all;
  for (uint32_t k = 0; k < 65536; k += 3) all.push_back(static_cast<uint16_t>(k));
  check1<uint16_t>("cvt.rn.f16.f32", v,
                   [](float x) { return static_cast<uint16_t>(nearest16(static_cast<double>(x), 5)); });
  check1<uint16_t>("cvt.rn.bf16.f32", v,
                   [](float x) { return static_cast<uint16_t>(nearest16(static_cast<double>(x), 8)); });
  check1<float>("cvt.f32.f16", all, [](uint16_t x) { return static_cast<float>(value16(x, 5)); });
  check1<float>("cvt.f32.bf16", all, [](uint16_t x) { return static_cast<float>(value16(x, 8)); });
  check2<uint32_t>("cvt.rn.f16x2.f32", v, std::vector<float>{1.0f, -0.3f}, [](float a, float b) {
    return nearest16(static_cast<double>(a), 5) << 16 | nearest16(static_cast<double>(b), 5);
  });
  const std::vector<uint16_t> few = {0,      0x8000, 0x3C00, 0xBC00, 1,      0x3FF,
                                     0x7BFF, 0x7C00, 0x7E00, 0x3555, 0x4248, 0x6400};
  check2<uint16_t>("add.f16", few, few, [](uint16_t a, uint16_t b) {
    return static_cast<uint16_t>(nearest16(value16(a, 5) + value16(b, 5), 5));
  });
  check2<uint16_t>("mul.f16", few, few, [](uint16_t a, uint16_t b) {
    return static_cast<uint16_t>(nearest16(value16(a, 5) * value16(b, 5), 5));
  });
  check3<uint16_t>("fma.rn.f16", few, few, few, [](uint16_t a, uint16_t b, uint16_t c) {
    return static_cast<uint16_t>(nearest16(value16(a, 5) * value16(b, 5) + value16(c, 5), 5));
  });
}

}  // namespace tr0n::emulator::test
