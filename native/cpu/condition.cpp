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

class CpuConditionKernels final : public ConditionKernels {
 public:
  void noise(const ConditionNoise& a) const override {
    if (a.kind == ConditionNoiseKind::none) {
      if (a.out != a.c) std::copy(a.c, a.c + a.n * a.m, a.out);
      return;
    }
    for_ranges(a.n, 22 * a.m, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        float* noise = a.workspace + i * a.m;
        a.rng.normal(a.chains[i], a.step, Purpose::condition_noise, noise, a.m);
        if (a.kind == ConditionNoiseKind::covariance) continue;
        float s = a.scale;
        if (a.kind == ConditionNoiseKind::adaptive) {
          const double length = norm(noise, a.m);
          s = length > 0
                  ? static_cast<float>(static_cast<double>(a.scale) * norm(a.c + i * a.m, a.m) / length)
                  : 0.0f;
        }
        for (size_t j = 0; j < a.m; ++j) a.out[i * a.m + j] = a.c[i * a.m + j] + s * noise[j];
      }
    });
    if (a.kind == ConditionNoiseKind::covariance)  // out = ε·Lᵀ + c
      gemm(a.n, a.m, a.m, {a.workspace, a.m, 1}, {a.factor, 1, a.m}, a.c, a.out);
  }

  void labels(const SampleLabels& a) const override {
    for_ranges(a.n, 20 + 3 * a.m, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const float* weights = a.c + i * a.m;
        double total = 0;
        for (size_t j = 0; j < a.m; ++j) total += weights[j] > 0.0f ? static_cast<double>(weights[j]) : 0.0;
        double left = a.rng.uniform(a.chains[i], a.step, Purpose::label) * total;
        size_t label = 0;
        for (size_t j = 0; j < a.m; ++j) {
          if (!(weights[j] > 0.0f)) continue;
          label = j;
          left -= static_cast<double>(weights[j]);
          if (left < 0) break;
        }
        std::fill(a.out + i * a.m, a.out + (i + 1) * a.m, 0.0f);
        a.out[i * a.m + label] = 1.0f;
      }
    });
  }
};

}  // namespace

std::unique_ptr<const ConditionKernels> make_condition_kernels() {
  return std::make_unique<CpuConditionKernels>();
}

}  // namespace tr0n
