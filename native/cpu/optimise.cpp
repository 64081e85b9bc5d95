#include <cmath>

#include "base/parallel.h"
#include "cpu/adam.h"
#include "cpu/kernels.h"
#include "cpu/scratch.h"

namespace tr0n {
namespace {

double norm_of(const float* x, size_t count) {
  constexpr size_t block = 4096;
  thread_local Scratch scratch;
  const size_t blocks = (count + block - 1) / block;
  double* partial = scratch.get<double>(blocks);
  for_ranges(blocks, block / 4, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i)
      partial[i] = instruction_set().square_sum(x + i * block, std::min(block, count - i * block));
  });
  double total = 0;
  for (size_t i = 0; i < blocks; ++i) total += partial[i];
  return std::sqrt(total);
}

}  // namespace

AdamFactors adam_factors(const AdamStep& step, double norm) {
  const double t = static_cast<double>(step.step) + 1;
  const double beta1 = static_cast<double>(step.beta1), beta2 = static_cast<double>(step.beta2);
  AdamFactors factors;
  factors.scale = static_cast<float>(clip_coefficient(norm, step.clip));
  factors.keep1 = step.beta1;
  factors.add1 = static_cast<float>(1 - beta1);
  factors.keep2 = step.beta2;
  factors.add2 = static_cast<float>(1 - beta2);
  factors.step_size = static_cast<float>(step.learning_rate / (1 - std::pow(beta1, t)));
  factors.root_factor = static_cast<float>(1 / std::sqrt(1 - std::pow(beta2, t)));
  factors.epsilon = step.epsilon;
  return factors;
}

bool take_step(double loss, double norm, StepTotals& totals) {
  if (totals.stopped != 0) return false;
  totals.loss = loss;
  totals.gradient_norm = norm;
  if (!std::isfinite(loss) || !std::isfinite(norm)) {
    totals.stopped = 1;
    return false;
  }
  totals.loss_sum += loss;
  ++totals.steps;
  return true;
}

namespace {

class CpuOptimiseKernels final : public OptimiseKernels {
 public:
  void step(const Optimise& a) const override {
    const double norm = norm_of(a.gradients, a.count);
    if (!take_step(*a.loss, norm, *a.totals)) return;
    const AdamFactors factors = adam_factors(*a.step, norm);
    for_ranges(a.count, 1, [&](size_t begin, size_t end) {
      apply_adam(factors, begin, end, a.gradients + begin, a.arrays);
    });
  }

  void rows(const AdamRows& a) const override {
    for_ranges(a.n, 2 * a.size, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const float* g = a.gradients + i * a.size;
        const double norm = a.adam.clip > 0 ? std::sqrt(instruction_set().square_sum(g, a.size)) : 0;
        apply_adam(adam_factors(a.adam, norm), i * a.size, (i + 1) * a.size, g, {a.x, a.m, a.v});
      }
    });
  }
};

}  // namespace

std::unique_ptr<const OptimiseKernels> make_optimise_kernels() {
  return std::make_unique<CpuOptimiseKernels>();
}

}  // namespace tr0n
