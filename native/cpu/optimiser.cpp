#include <cmath>

#include "cpu/kernels.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"

namespace tr0n {
namespace {

/// The scalars of a step, in the order of operations of torch.optim.Adam (single tensor): the learning rate
/// is divided by the first bias correction, the second moment's root by the root of the second.
struct AdamFactors {
  float keep1, add1, keep2, add2, step_size, root_correction, epsilon;

  explicit AdamFactors(const AdamStep& adam) {
    const double t = static_cast<double>(adam.step) + 1;
    const double beta1 = static_cast<double>(adam.beta1), beta2 = static_cast<double>(adam.beta2);
    keep1 = adam.beta1;
    add1 = static_cast<float>(1 - beta1);
    keep2 = adam.beta2;
    add2 = static_cast<float>(1 - beta2);
    step_size = static_cast<float>(adam.learning_rate / (1 - std::pow(beta1, t)));
    root_correction = static_cast<float>(std::sqrt(1 - std::pow(beta2, t)));
    epsilon = adam.epsilon;
  }

  void apply(size_t begin, size_t end, float scale, const float* gradients, float* m, float* v,
             float* x) const {
    for (size_t i = begin; i < end; ++i) {
      const float g = scale * gradients[i];
      m[i] = keep1 * m[i] + add1 * g;
      v[i] = keep2 * v[i] + add2 * g * g;
      x[i] -= step_size * m[i] / (std::sqrt(v[i]) / root_correction + epsilon);
    }
  }
};

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

}  // namespace

void CpuKernels::global_norm(const float* x, size_t count, double* norm) const {
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
  *norm = std::sqrt(total);
}

void CpuKernels::adam(const AdamStep& adam, size_t count, const double* norm, const float* gradients,
                      float* m, float* v, float* parameters) const {
  const AdamFactors factors(adam);
  const float scale = static_cast<float>(clip_coefficient(*norm, adam.clip));
  for_ranges(count, 2, [&](size_t begin, size_t end) {
    factors.apply(begin, end, scale, gradients, m, v, parameters);
  });
}

void CpuKernels::adam_rows(const AdamStep& adam, size_t n, size_t size, const float* gradients, float* m,
                           float* v, float* x) const {
  const AdamFactors factors(adam);
  for_ranges(n, 3 * size, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const double norm = adam.clip > 0 ? std::sqrt(square_sum(gradients + i * size, size)) : 0;
      const float scale = static_cast<float>(clip_coefficient(norm, adam.clip));
      factors.apply(i * size, (i + 1) * size, scale, gradients, m, v, x);
    }
  });
}

}  // namespace tr0n
