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
      partial[i] = best_target().square_sum(x + i * block, std::min(block, count - i * block));
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

void CpuKernels::optimise(const AdamStep* step, size_t count, const float* gradients,
                          const AdamArrays& arrays, const double* loss, StepTotals* totals) const {
  const double norm = norm_of(gradients, count);
  if (!take_step(*loss, norm, *totals)) return;
  const AdamFactors factors = adam_factors(*step, norm);
  for_ranges(count, 1,
             [&](size_t begin, size_t end) { apply_adam(factors, begin, end, gradients + begin, arrays); });
}

void CpuKernels::adam_rows(const AdamStep& adam, size_t n, size_t size, const float* gradients, float* m,
                           float* v, float* x) const {
  for_ranges(n, 2 * size, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const float* g = gradients + i * size;
      const double norm = adam.clip > 0 ? std::sqrt(best_target().square_sum(g, size)) : 0;
      apply_adam(adam_factors(adam, norm), i * size, (i + 1) * size, g, {x, m, v});
    }
  });
}

}  // namespace tr0n
