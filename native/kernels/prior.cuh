#pragma once
#include "core/prior.h"
#include "kernels/philox.cuh"
#include "kernels/rows.cuh"

// core/prior.cpp on a GPU: p(z), factorised over the dimensions.
namespace tr0n::cuda {

/// Whether an element is finite and inside the support; NaN is not.
__device__ inline bool inside(const Prior& prior, float x) {
  switch (prior.kind) {
    case Prior::Kind::normal:
      return isfinite(x);
    case Prior::Kind::truncated_normal:
      return fabsf(x) <= prior.bound;
    case Prior::Kind::uniform:
      return x >= prior.low && x <= prior.high;
  }
  return false;
}

/// What a row's energy is made of, summed over elements.
struct PriorSums {
  double square = 0;   ///< Σ z²
  double outside = 0;  ///< elements outside the support

  /// Elements at … at + 3 of a row of prior.dim; those beyond its end do not count.
  __device__ void add(const Prior& prior, size_t at, float4 z) {
    square += square_sum(z);
    outside += inside(prior, z.x) ? 0 : 1;
    if (at + 1 < prior.dim) outside += inside(prior, z.y) ? 0 : 1;
    if (at + 2 < prior.dim) outside += inside(prior, z.z) ? 0 : 1;
    if (at + 3 < prior.dim) outside += inside(prior, z.w) ? 0 : 1;
  }
};

/// −log p(z) without its constant, for z inside the support.
__device__ inline double prior_energy(const Prior& prior, double square) {
  if (prior.kind == Prior::Kind::uniform) return 0;
  return 0.5 * square / (static_cast<double>(prior.std) * static_cast<double>(prior.std));
}

/// One element of N(0, std²) cut to ±bound, by rejection as on the CPU, in double: what is redrawn must not
/// depend on the device.
__device__ inline float draw_truncated(const Prior& prior, const Draw& draw, size_t j) {
  const double std = static_cast<double>(prior.std), bound = static_cast<double>(prior.bound);
  const bool wide = prior.bound >= prior.std;
  for (size_t attempt = 0;; ++attempt) {
    const uint4 words = draw.bits(static_cast<uint32_t>(attempt * prior.dim + j));
    const double u = unit(words.x), v = unit(words.y);
    if (wide) {
      const double radius = std * sqrt(-2.0 * log(u));
      double sine, cosine;
      sincospi(2.0 * v, &sine, &cosine);
      const float first = static_cast<float>(radius * cosine), second = static_cast<float>(radius * sine);
      if (fabsf(first) <= prior.bound) return first;
      if (fabsf(second) <= prior.bound) return second;
    } else {
      const double x = bound * (2.0 * u - 1.0), t = x / std;
      if (log(v) < -0.5 * t * t) return static_cast<float>(x);
    }
  }
}

/// Elements at … at + 3 of a draw from the prior.
__device__ inline float4 draw_prior(const Prior& prior, const Draw& draw, size_t at) {
  const uint32_t block = static_cast<uint32_t>(at / 4);
  if (prior.kind == Prior::Kind::normal)
    return map4([&](float x) { return __fmul_rn(x, prior.std); }, normals(draw, block));
  if (prior.kind == Prior::Kind::uniform) {
    const uint4 words = draw.bits(block);
    const float width = __fsub_rn(prior.high, prior.low);
    return map4(
        [&](float u) { return fminf(multiply_add(u, width, prior.low), prior.high); },
        make_float4(unit_float(words.x), unit_float(words.y), unit_float(words.z), unit_float(words.w)));
  }
  float4 z = make_float4(0, 0, 0, 0);
  for (unsigned i = 0; i < 4 && at + i < prior.dim; ++i) {
    const float x = draw_truncated(prior, draw, at + i);
    (i == 0 ? z.x : i == 1 ? z.y : i == 2 ? z.z : z.w) = x;
  }
  return z;
}

}  // namespace tr0n::cuda
