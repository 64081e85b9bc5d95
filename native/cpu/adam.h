#pragma once
#include <cmath>
#include <cstddef>

#include "core/kernels.h"

namespace tr0n {

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

  /// Elements begin … end − 1 of the arrays; gradients count from `begin`.
  void apply(size_t begin, size_t end, float scale, const float* gradients, const AdamArrays& arrays) const {
    float *x = arrays.parameters, *m = arrays.m, *v = arrays.v;
    for (size_t i = begin; i < end; ++i) {
      const float g = scale * gradients[i - begin];
      m[i] = keep1 * m[i] + add1 * g;
      v[i] = keep2 * v[i] + add2 * g * g;
      x[i] -= step_size * m[i] / (std::sqrt(v[i]) / root_correction + epsilon);
    }
  }
};

/// Σ x² in double, in a fixed order.
double square_sum(const float* x, size_t n);

/// Takes a step's loss and gradient norm into totals, or stops it; whether the step is to be made.
bool take_step(double loss, double norm, StepTotals& totals);

}  // namespace tr0n
