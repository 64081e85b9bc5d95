#pragma once
#include "device/kernels/prior.h"
#include "kernels/philox.cuh"
#include "kernels/rows.cuh"

// device/kernels/prior.cpp on a GPU: p(z), factorised over the dimensions.
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
    case Prior::Kind::elements:
      break;  // below
  }
  return false;
}

__device__ inline bool inside(const PriorElement& e, float x) {
  return isfinite(x) && x >= e.low && x <= e.high;
}

/// (z − mean) / std, 0 where the element is flat.
__device__ inline double standardised(const PriorElement& e, float x) {
  return (static_cast<double>(x) - static_cast<double>(e.mean)) / static_cast<double>(e.std);
}

/// What a row's energy is made of, summed over elements.
struct PriorSums {
  double square = 0;   ///< Σ z², of elements Σ ((z − mean) / std)²
  double outside = 0;  ///< elements outside the support

  /// Element j of a row.
  __device__ void add(const Prior& prior, size_t j, float z) {
    if (prior.kind == Prior::Kind::elements) {
      const PriorElement e = prior.elements[j];
      const double u = standardised(e, z);
      square += u * u;
      outside += cuda::inside(e, z) ? 0 : 1;
      return;
    }
    square += cuda::square(z);
    outside += inside(prior, z) ? 0 : 1;
  }

  /// Elements at … at + 3 of a row of prior.dim; those beyond its end do not count.
  __device__ void add(const Prior& prior, size_t at, float4 z) {
    if (prior.kind == Prior::Kind::elements) {
      for (unsigned i = 0; i < 4 && at + i < prior.dim; ++i)
        add(prior, at + i, i == 0 ? z.x : i == 1 ? z.y : i == 2 ? z.z : z.w);
      return;
    }
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
  if (prior.kind == Prior::Kind::elements) return 0.5 * square;
  return 0.5 * square / (static_cast<double>(prior.std) * static_cast<double>(prior.std));
}

/// One element of N(0, std²) cut to ±bound (prior's; `dim` is the stride of redraws), by rejection as on the
/// CPU, in double: what is redrawn must not depend on the device.
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

/// Elements at … at + 3 of a draw of elements: device/kernels/prior.cpp, draw_elements.
__device__ inline float4 draw_elements(const Prior& prior, const Draw& draw, size_t at) {
  const size_t quads = (prior.dim + 3) / 4;
  float4 z = normals(draw, static_cast<uint32_t>(at / 4));
  for (unsigned i = 0; i < 4 && at + i < prior.dim; ++i) {
    const PriorElement e = prior.elements[at + i];
    float& x = i == 0 ? z.x : i == 1 ? z.y : i == 2 ? z.z : z.w;
    if (isinf(e.std)) {
      const uint4 words = draw.bits(static_cast<uint32_t>(quads + at / 4));
      const float u = unit_float(i == 0 ? words.x : i == 1 ? words.y : i == 2 ? words.z : words.w);
      x = fminf(multiply_add(u, __fsub_rn(e.high, e.low), e.low), e.high);
    } else if (isinf(e.low)) {
      x = multiply_add(e.std, x, e.mean);
    } else {
      Prior cut = prior;
      cut.std = e.std;
      cut.bound = static_cast<float>(0.5 * (static_cast<double>(e.high) - static_cast<double>(e.low)));
      x = __fadd_rn(e.mean, draw_truncated(cut, draw, 2 * quads + at + i));
    }
  }
  return z;
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
  if (prior.kind == Prior::Kind::elements) return draw_elements(prior, draw, at);
  float4 z = make_float4(0, 0, 0, 0);
  for (unsigned i = 0; i < 4 && at + i < prior.dim; ++i) {
    const float x = draw_truncated(prior, draw, at + i);
    (i == 0 ? z.x : i == 1 ? z.y : i == 2 ? z.z : z.w) = x;
  }
  return z;
}

}  // namespace tr0n::cuda
