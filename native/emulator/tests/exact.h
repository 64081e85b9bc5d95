#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

/// Reference arithmetic with 113 bits of mantissa, rounded once at the end.
namespace tr0n::emulator::test {

using Quad = __float128;
enum class Mode { nearest, zero, down, up };

inline Quad next(Quad x, bool up) {
  unsigned __int128 bits;
  static_assert(sizeof bits == sizeof x);
  __builtin_memcpy(&bits, &x, sizeof x);
  const bool negative = (bits >> 127) != 0;
  bits += up != negative ? 1 : -1;
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
}
inline bool odd(Quad x) {
  unsigned __int128 bits;
  __builtin_memcpy(&bits, &x, sizeof x);
  return (bits & 1) != 0;
}

/// a + b with the last bit set where the sum is not exact: what is rounded to fewer bits then is right.
inline Quad sum(Quad a, Quad b) {
  const Quad s = a + b;
  if (s - s != 0) return s;  // infinite, NaN
  const Quad t = s - a, error = (a - (s - t)) + (b - t);
  if (error == 0 || odd(s)) return s;
  return next(s, error > 0);
}

template <class T>
T towards(T x, T to) {
  return std::nextafter(x, to);
}

/// To T in a mode. The compiler's own conversion rounds to nearest; the exact value says which neighbour is
/// wanted.
template <class T>
T rounded(Quad x, Mode mode) {
  const T inf = std::numeric_limits<T>::infinity();
  T r = static_cast<T>(x);
  if (x != x || x - x != 0) return r;
  switch (mode) {
    case Mode::nearest:
      return r;
    case Mode::zero:
      if (x > 0 && static_cast<Quad>(r) > x) r = towards(r, T{0});
      if (x < 0 && static_cast<Quad>(r) < x) r = towards(r, T{0});
      break;
    case Mode::down:
      if (static_cast<Quad>(r) > x) r = towards(r, -inf);
      break;
    case Mode::up:
      if (static_cast<Quad>(r) < x) r = towards(r, inf);
      break;
  }
  if (r == 0) r = std::copysign(r, x < 0 || (x == 0 && 1 / x < 0) ? T{-1} : T{1});
  return r;
}

inline float flushed(float x) { return std::fabs(x) < 0x1p-126f ? std::copysign(0.0f, x) : x; }
inline float clamped(float x) { return !(x > 0) ? 0.0f : x > 1 ? 1.0f : x; }

}  // namespace tr0n::emulator::test
