#include <cmath>

#include "base/parallel.h"
#include "cpu/gemm.h"
#include "cpu/kernels.h"

namespace tr0n {
namespace {

double norm(const float* x, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return std::sqrt(sum);
}

}  // namespace

void CpuKernels::condition_noise(ConditionNoise kind, float scale, const float* factor, size_t n, size_t m,
                                 const Chain* chains, uint32_t step, const Philox& rng, const float* c,
                                 float* workspace, float* out) const {
  if (kind == ConditionNoise::none) {
    if (out != c) std::copy(c, c + n * m, out);
    return;
  }
  for_ranges(n, 22 * m, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      float* noise = workspace + i * m;
      rng.normal(chains[i], step, Purpose::condition_noise, noise, m);
      if (kind == ConditionNoise::covariance) continue;
      float s = scale;
      if (kind == ConditionNoise::adaptive) {
        const double length = norm(noise, m);
        s = length > 0 ? static_cast<float>(static_cast<double>(scale) * norm(c + i * m, m) / length) : 0.0f;
      }
      for (size_t j = 0; j < m; ++j) out[i * m + j] = c[i * m + j] + s * noise[j];
    }
  });
  if (kind == ConditionNoise::covariance)  // out = ε·Lᵀ + c
    gemm(n, m, m, {workspace, m, 1}, {factor, 1, m}, c, out);
}

void CpuKernels::sample_labels(size_t n, size_t m, const Chain* chains, uint32_t step, const Philox& rng,
                               const float* c, float* out) const {
  for_ranges(n, 20 + 3 * m, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const float* weights = c + i * m;
      double total = 0;
      for (size_t j = 0; j < m; ++j) total += weights[j] > 0.0f ? static_cast<double>(weights[j]) : 0.0;
      double left = rng.uniform(chains[i], step, Purpose::label) * total;
      size_t label = 0;
      for (size_t j = 0; j < m; ++j) {
        if (!(weights[j] > 0.0f)) continue;
        label = j;
        left -= static_cast<double>(weights[j]);
        if (left < 0) break;
      }
      std::fill(out + i * m, out + (i + 1) * m, 0.0f);
      out[i * m + label] = 1.0f;
    }
  });
}

}  // namespace tr0n
