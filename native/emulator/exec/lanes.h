#pragma once
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "emulator/exec/warp.h"

/// Functions over single values made handlers over 32 lanes.
namespace tr0n::emulator {

/// Registers of 8 and 16 bits occupy 32 in a row, upper bits zero.
template <class T>
using Element = std::conditional_t<(sizeof(T) < 4), uint32_t, T>;

template <class T>
inline T value_of(Element<T> element) {
  return static_cast<T>(element);
}
template <class T>
inline Element<T> element_of(T value) {
  if constexpr (sizeof(T) < 4) {
    return static_cast<std::make_unsigned_t<T>>(value);
  } else {
    return value;
  }
}

// The last of the masked writes goes through a copy, so that both loops are plain vector code.
template <class T, class Body>
inline void write_lanes(T* __restrict dst, uint32_t mask, Body body) {
  if (mask == ~uint32_t{0}) {
#pragma GCC ivdep
    for (int l = 0; l < kLanes; ++l) dst[l] = body(l);
    return;
  }
  alignas(kFrameAlign) T fresh[kLanes];
  for (int l = 0; l < kLanes; ++l) fresh[l] = body(l);
  for (int l = 0; l < kLanes; ++l) dst[l] = (mask >> l & 1) != 0 ? fresh[l] : dst[l];
}

template <class F, class D, class A>
void map1(Warp& w, const Inst& i, uint32_t mask) {
  const auto* a = w.row<Element<A>>(i.a);
  write_lanes(w.row<Element<D>>(i.dst), mask,
              [=](int l) { return element_of<D>(F::run(value_of<A>(a[l]))); });
}

template <class F, class D, class A, class B>
void map2(Warp& w, const Inst& i, uint32_t mask) {
  const auto* a = w.row<Element<A>>(i.a);
  const auto* b = w.row<Element<B>>(i.b);
  write_lanes(w.row<Element<D>>(i.dst), mask,
              [=](int l) { return element_of<D>(F::run(value_of<A>(a[l]), value_of<B>(b[l]))); });
}

template <class F, class D, class A, class B, class C>
void map3(Warp& w, const Inst& i, uint32_t mask) {
  const auto* a = w.row<Element<A>>(i.a);
  const auto* b = w.row<Element<B>>(i.b);
  const auto* c = w.row<Element<C>>(i.c);
  write_lanes(w.row<Element<D>>(i.dst), mask, [=](int l) {
    return element_of<D>(F::run(value_of<A>(a[l]), value_of<B>(b[l]), value_of<C>(c[l])));
  });
}

inline float bits_to_float(uint32_t bits) { return std::bit_cast<float>(bits); }
inline uint32_t float_to_bits(float value) { return std::bit_cast<uint32_t>(value); }

// NaNs that arithmetic gives: 0x7fffffff in single, the sign bit set in double precision.
inline float canonical(float x) { return x != x ? std::bit_cast<float>(uint32_t{0x7FFFFFFF}) : x; }
inline double canonical(double x) { return x != x ? std::bit_cast<double>(uint64_t{0xFFF8000000000000}) : x; }
/// Subnormals to zero with their sign.
inline float flush(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  return (bits & 0x7F800000U) == 0 ? std::bit_cast<float>(bits & 0x80000000U) : x;
}
template <bool Ftz>
inline float flushed(float x) {
  return Ftz ? flush(x) : x;
}
template <bool Ftz>
inline double flushed(double x) {
  return x;
}
/// [0, 1], NaN to +0.
template <class T>
inline T saturated(T x) {
  return x > 0 ? (x < 1 ? x : T{1}) : T{0};
}

}  // namespace tr0n::emulator
