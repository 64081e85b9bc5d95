#pragma once
#include "base/rng.h"

// The random numbers of base/rng.cpp on a GPU: the same bits, the same uniforms; normals that differ from the
// CPU's by rounding alone.
namespace tr0n::cuda {

/// Key and the parts of the counter that one draw of one chain shares.
struct Draw {
  uint2 key;
  uint32_t step_and_purpose, index, stream;

  __device__ Draw(uint2 key_, Chain chain, uint32_t step, Purpose purpose)
      : key(key_),
        step_and_purpose(step | static_cast<uint32_t>(purpose) << 24),
        index(chain.index),
        stream(chain.stream) {}

  /// Philox4x32-10: elements 4·block … 4·block + 3.
  __device__ uint4 bits(uint32_t block) const {
    constexpr uint32_t multiplier0 = 0xD2511F53u, multiplier1 = 0xCD9E8D57u;
    constexpr uint32_t weyl0 = 0x9E3779B9u, weyl1 = 0xBB67AE85u;
    uint4 c = make_uint4(block, step_and_purpose, index, stream);
    uint2 k = key;
#pragma unroll
    for (int round = 0; round < 10; ++round) {
      const uint32_t high0 = __umulhi(multiplier0, c.x), low0 = multiplier0 * c.x;
      const uint32_t high1 = __umulhi(multiplier1, c.z), low1 = multiplier1 * c.z;
      c = make_uint4(high1 ^ c.y ^ k.x, low1, high0 ^ c.w ^ k.y, low0);
      k.x += weyl0;
      k.y += weyl1;
    }
    return c;
  }
};

/// (bits + 0.5) / 2^32, exact in double.
__device__ inline double unit(uint32_t bits) { return (bits + 0.5) * 0x1p-32; }

/// Element 0 of a draw, in double: what choices are made by.
__device__ inline double uniform(const Draw& draw) { return unit(draw.bits(0).x); }

/// unit() rounded to float below 1, without double: upper 23 bits · 512 + (lower 9 bits + 0.5) is rounded
/// once.
__device__ inline float unit_float(uint32_t bits) {
  const float upper = __uint_as_float(0x4B000000u | bits >> 9) - 0x1p23f;  // exact, as is the next
  const float lower = __uint_as_float(0x4B000000u | (bits & 511)) - (0x1p23f - 0.5f);
  return fminf(__fmaf_rn(upper, 512.0f, lower) * 0x1p-32f, 0x1.fffffep-1f);
}

/// Two independent standard normals out of two words. The angle in units of π needs no reduction.
__device__ inline float2 box_muller(uint32_t radius_bits, uint32_t angle_bits) {
  const float radius = sqrtf(-2.0f * logf(unit_float(radius_bits)));
  float sine, cosine;
  sincospif(2.0f * unit_float(angle_bits), &sine, &cosine);
  return make_float2(radius * cosine, radius * sine);
}

/// Standard normals: elements 4·block … 4·block + 3.
__device__ inline float4 normals(const Draw& draw, uint32_t block) {
  const uint4 words = draw.bits(block);
  const float2 a = box_muller(words.x, words.y), b = box_muller(words.z, words.w);
  return make_float4(a.x, a.y, b.x, b.y);
}

}  // namespace tr0n::cuda
