#include "cpu/tanh.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>

namespace tr0n {
namespace {

constexpr size_t kBlock = 16;

inline int32_t bits_of(float x) {
  int32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

inline float float_of(int32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

/// All bits set where a < b, else none; for a, b ≥ 0.
inline int32_t less(int32_t a, int32_t b) { return (a - b) >> 31; }

/// e^x for x in [0, 20], by Cody–Waite reduction and the polynomial of Cephes' expf (Moshier).
/// Adding 1.5·2^23 rounds to an integer and leaves it in the low bits of the sum.
inline float exp_positive(float x) {
  constexpr float rounder = 12582912.0f;
  const float shifted = x * 1.44269504f + rounder, n = shifted - rounder;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const int32_t exponent = bits_of(shifted) - bits_of(rounder);
  return p * float_of((exponent + 127) * (1 << 23));
}

/// As Cephes' tanhf: an odd polynomial near zero, 1 − 2/(e^2x + 1) elsewhere. Choices are made on the bits
/// (floats of one sign are ordered as integers): comparing floats may trap, which would keep the compiler
/// from vectorising. Always a whole block, so that no element is treated by other instructions than its
/// neighbours.
void tanh_block(float* x, float bound) {
  constexpr int32_t sign_bit = std::numeric_limits<int32_t>::min(), infinity = 0x7f800000;
  constexpr int32_t small = 0x3f200000,
                    large = 0x41180000;  // 0.625; 9.5: beyond 9.02 the result is 1 in float
  for (size_t i = 0; i < kBlock; ++i) {
    const float value = x[i], square = value * value;
    const int32_t bits = bits_of(value), magnitude = bits & ~sign_bit;
    float p = -5.70498872745e-3f;
    p = p * square + 2.06390887954e-2f;
    p = p * square - 5.37397155531e-2f;
    p = p * square + 1.33314422036e-1f;
    p = p * square - 3.33332819422e-1f;
    const float near = value + value * square * p;
    const int32_t over = less(large, magnitude);
    const float capped = float_of((large & over) | (magnitude & ~over));
    const float far = 1.0f - 2.0f / (exp_positive(2.0f * capped) + 1.0f);
    const int32_t near_mask =
        -static_cast<int32_t>((magnitude < small) | (magnitude > infinity));  // NaN is near
    x[i] = bound * float_of((bits_of(near) & near_mask) | ((bits_of(far) | (bits & sign_bit)) & ~near_mask));
  }
}

}  // namespace

void bounded_tanh(float* x, size_t n, float bound) {
  size_t i = 0;
  for (; i + kBlock <= n; i += kBlock) tanh_block(x + i, bound);
  if (i == n) return;
  float rest[kBlock] = {};
  std::copy(x + i, x + n, rest);
  tanh_block(rest, bound);
  std::copy(rest, rest + (n - i), x + i);
}

}  // namespace tr0n
