#pragma once
#include <cmath>
#include <vector>

#include "device/kernels.h"

namespace tr0n::selftest {

/// Adam in float64 from the paper's formulas (Kingma & Ba 2015, algorithm 1).
struct Adam {
  std::vector<double> m, v, x;
  void step(const AdamStep& adam, const std::vector<double>& gradient, double scale, size_t first = 0) {
    const double beta1 = static_cast<double>(adam.beta1), beta2 = static_cast<double>(adam.beta2);
    const double t = static_cast<double>(adam.step + 1);
    for (size_t i = 0; i < gradient.size(); ++i) {
      const double g = scale * gradient[i];
      m[first + i] = beta1 * m[first + i] + (1 - beta1) * g;
      v[first + i] = beta2 * v[first + i] + (1 - beta2) * g * g;
      const double m_hat = m[first + i] / (1 - std::pow(beta1, t));
      const double v_hat = v[first + i] / (1 - std::pow(beta2, t));
      x[first + i] -= adam.learning_rate * m_hat / (std::sqrt(v_hat) + static_cast<double>(adam.epsilon));
    }
  }
};

inline double norm_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value * value;
  return std::sqrt(sum);
}

}  // namespace tr0n::selftest
