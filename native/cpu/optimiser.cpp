#include <cmath>

#include "cpu/adam.h"
#include "cpu/kernels.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"

namespace tr0n {
namespace {

double norm_of(const float* x, size_t count) {
  constexpr size_t block = 4096;
  thread_local Scratch scratch;
  const size_t blocks = (count + block - 1) / block;
  double* partial = scratch.get<double>(blocks);
  for_ranges(blocks, block / 2, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i)
      partial[i] = square_sum(x + i * block, std::min(block, count - i * block));
  });
  double total = 0;
  for (size_t i = 0; i < blocks; ++i) total += partial[i];
  return std::sqrt(total);
}

}  // namespace

double square_sum(const float* x, size_t n) {
  double sums[4] = {};
  size_t i = 0;
  for (; i + 4 <= n; i += 4)
    for (size_t lane = 0; lane < 4; ++lane) {
      const double value = static_cast<double>(x[i + lane]);
      sums[lane] += value * value;
    }
  for (; i < n; ++i) sums[i % 4] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
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
  const AdamFactors factors(*step);
  const float scale = static_cast<float>(clip_coefficient(norm, step->clip));
  for_ranges(count, 2,
             [&](size_t begin, size_t end) { factors.apply(begin, end, scale, gradients + begin, arrays); });
}

void CpuKernels::adam_rows(const AdamStep& adam, size_t n, size_t size, const float* gradients, float* m,
                           float* v, float* x) const {
  const AdamFactors factors(adam);
  for_ranges(n, 3 * size, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const double norm = adam.clip > 0 ? std::sqrt(square_sum(gradients + i * size, size)) : 0;
      const float scale = static_cast<float>(clip_coefficient(norm, adam.clip));
      factors.apply(i * size, (i + 1) * size, scale, gradients + i * size, {x, m, v});
    }
  });
}

}  // namespace tr0n
