#pragma once
#include <cstddef>
#include <cstdint>

namespace tr0n {

/// error_i = Σ_j (prediction − target)²/size, and gradient = 2·scale·(prediction − target)/size,
/// overwritten; may be null. Where `bound` > 0 the predictions are bound·tanh(u), and the gradient is that
/// of u: times bound − prediction²/bound. prediction, target, gradient [n, size]. error [n]. Moves 3·n·size.
struct SquaredError {
  size_t n = 0, size = 0;
  const float *prediction = nullptr, *target = nullptr;
  float scale = 0, bound = 0;
  double* error = nullptr;
  float* gradient = nullptr;
};

/// *out = x_factor·Σ x [n] + y_factor·Σ y [n], summed in a fixed order; y may be null.
struct WeightedSum {
  size_t n = 0;
  const double* x = nullptr;
  double x_factor = 0;
  const double* y = nullptr;
  double y_factor = 0;
  double* out = nullptr;
};

/// Losses other than a mixture's, and sums of them.
class LossKernels {
 public:
  virtual ~LossKernels() = default;
  virtual void squared_error(const SquaredError& a) const = 0;
  virtual void weighted_sum(const WeightedSum& a) const = 0;
};

}  // namespace tr0n
