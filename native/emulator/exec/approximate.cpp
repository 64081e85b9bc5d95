#include "emulator/exec/approximate.h"

#include <cmath>

#include "emulator/config.h"
#include "emulator/exec/lanes.h"

namespace tr0n::emulator {
namespace {

// Everything is computed in double precision from +, ×, ÷ and bit operations, or by the C library where
// double leaves 29 bits to spare: the results do not depend on the machine.

double exp2_of(double x) {
  const double bounded = x < -200 ? -200 : x > 200 ? 200 : x;
  const double shifted = bounded + 0x1.8p52, whole = shifted - 0x1.8p52,
               f = (bounded - whole) * 0.69314718055994530942;
  double sum = 1.0 / 479001600;
  constexpr double kInverse[] = {1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320,
                                 1.0 / 5040,     1.0 / 720,     1.0 / 120,    1.0 / 24,
                                 1.0 / 6,        0.5,           1.0,          1.0};
  for (const double c : kInverse) sum = sum * f + c;
  const auto exponent = static_cast<int64_t>(whole);
  const double result = sum * std::bit_cast<double>(static_cast<uint64_t>(exponent + 1023) << 52);
  return x == x ? result : x;
}

double log2_of(double x) {
  const auto bits = std::bit_cast<int64_t>(x);
  // The mantissa in [√½, √2).
  const int64_t exponent = (bits - 0x3FE6A09E667F3BCD) >> 52;
  const double m = std::bit_cast<double>(bits - (exponent << 52));
  const double s = (m - 1) / (m + 1), square = s * s;
  double sum = 1.0 / 21;
  for (int k = 19; k >= 1; k -= 2) sum = sum * square + 1.0 / k;
  const double result = static_cast<double>(exponent) + sum * s * 2.8853900817779268147;
  if (x > 0 && x < std::numeric_limits<double>::infinity()) return result;
  return x == 0  ? -std::numeric_limits<double>::infinity()
         : x > 0 ? x
                 : std::numeric_limits<double>::quiet_NaN();
}

/// In [-1, 1], from the bits of the argument.
double disturbance(float x) {
  uint32_t h = float_to_bits(x) * 0x9E3779B1U;
  h ^= h >> 15;
  h *= 0x85EBCA77U;
  h ^= h >> 13;
  return static_cast<double>(h) / 2147483648.0 - 1;
}

// error: the documented bound, the final rounding taken off; relative, or absolute for sin and cos
// and around 1 for lg2.
struct Rcp {
  static constexpr double error = 0x1.fp-25;
  static double run(double x) { return 1 / x; }
};
struct Sqrt {
  static constexpr double error = 0x1.fp-25;
  static double run(double x) { return std::sqrt(x); }
};
struct Rsqrt {
  static constexpr double error = 0x1.2p-24;
  static double run(double x) { return 1 / std::sqrt(x); }
};
struct Ex2 {
  static constexpr double error = 0x1.cp-24;
  static double run(double x) { return exp2_of(x); }
};
struct Lg2 {
  static constexpr double error = 0x1.9p-24;
  static double run(double x) { return log2_of(x); }
};
struct Sin {
  static constexpr double error = 0x1.5p-21;
  static double run(double x) { return std::sin(x); }
};
struct Cos {
  static constexpr double error = 0x1.5p-21;
  static double run(double x) { return std::cos(x); }
};
struct Tanh {
  static constexpr double error = 0x1.ep-12;
  static double run(double x) { return std::tanh(x); }
};

template <class F>
constexpr bool kAbsolute = std::is_same_v<F, Sin> || std::is_same_v<F, Cos>;

template <class F, bool Ftz, bool Worst>
struct Single {
  static float run(float a) {
    const float x = flushed<Ftz>(a);
    double exact = F::run(static_cast<double>(x));
    if constexpr (Worst) {
      const double off = F::error * disturbance(x);
      const bool absolute = kAbsolute<F> || (std::is_same_v<F, Lg2> && x > 0.5f && x < 2);
      if (std::isfinite(exact) && exact != 0 && !(std::is_same_v<F, Ex2> && x == 0))
        exact += absolute ? off : exact * off;
    }
    return canonical(flushed<Ftz>(static_cast<float>(exact)));
  }
};

template <class F, bool Worst>
Handler single(bool ftz) {
  return ftz ? map1<Single<F, true, Worst>, float, float> : map1<Single<F, false, Worst>, float, float>;
}
template <class F>
Handler single(bool ftz) {
  return config().worst ? single<F, true>(ftz) : single<F, false>(ftz);
}

/// The double-precision seeds use and give the upper 32 bits only; subnormals are flushed.
double upper(double x) {
  const auto bits = std::bit_cast<uint64_t>(x);
  if ((bits & 0x7FF0000000000000) == 0) return std::bit_cast<double>(bits & 0x8000000000000000);
  return x != x ? canonical(x) : std::bit_cast<double>(bits & 0xFFFFFFFF00000000);
}
struct RcpDouble {
  static double run(double a) { return upper(1 / upper(a)); }
};
struct RsqrtDouble {
  static double run(double a) { return upper(1 / std::sqrt(upper(a))); }
};

template <bool Ftz, bool Worst>
struct Divide {
  /// Beyond 2^126 the approximation gives zero (NaN for an infinite dividend), as documented for div.approx.
  static float run(float x, float y) {
    const float a = flushed<Ftz>(x), b = flushed<Ftz>(y);
    double exact = static_cast<double>(a) / static_cast<double>(b);
    if constexpr (Worst) exact *= 1 + 0x1.8p-23 * disturbance(a + b);
    return canonical(flushed<Ftz>(static_cast<float>(exact)));
  }
};

}  // namespace

Handler approximation(Approximation which, Type type, bool ftz) {
  if (type == Type::f64) {
    if (which == Approximation::rcp && ftz) return map1<RcpDouble, double, double>;
    if (which == Approximation::rsqrt) return map1<RsqrtDouble, double, double>;
    return nullptr;
  }
  if (type != Type::f32) return nullptr;
  switch (which) {
    case Approximation::rcp:
      return single<Rcp>(ftz);
    case Approximation::sqrt:
      return single<Sqrt>(ftz);
    case Approximation::rsqrt:
      return single<Rsqrt>(ftz);
    case Approximation::ex2:
      return single<Ex2>(ftz);
    case Approximation::lg2:
      return single<Lg2>(ftz);
    case Approximation::sin:
      return single<Sin>(ftz);
    case Approximation::cos:
      return single<Cos>(ftz);
    case Approximation::tanh:
      return single<Tanh>(ftz);
  }
  return nullptr;
}

Handler approximate_division(bool ftz) {
  if (config().worst)
    return ftz ? map2<Divide<true, true>, float, float, float>
               : map2<Divide<false, true>, float, float, float>;
  return ftz ? map2<Divide<true, false>, float, float, float>
             : map2<Divide<false, false>, float, float, float>;
}

}  // namespace tr0n::emulator
