#include "core/math/cholesky.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"

namespace tr0n {

std::vector<float> cholesky(const std::vector<float>& matrix, size_t n) {
  const auto fail = [](const std::string& what) {
    throw Error("ERR_INVALID_ARGUMENT", "covariance: " + what);
  };
  if (matrix.size() != n * n)
    fail("expected " + std::to_string(n) + "x" + std::to_string(n) + " elements, got " +
         std::to_string(matrix.size()));
  double largest = 0;
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) {
      const double value = static_cast<double>(matrix[i * n + j]);
      if (!std::isfinite(value)) fail("an element is not finite");
      largest = std::max(largest, std::fabs(value));
    }
  // A covariance estimated in float32 is off by rounding: pivots this small count as zero.
  const double tolerance = largest * 1e-6 * static_cast<double>(n);
  std::vector<double> factor(n * n, 0.0);
  for (size_t j = 0; j < n; ++j) {
    double pivot = static_cast<double>(matrix[j * n + j]);
    for (size_t k = 0; k < j; ++k) pivot -= factor[j * n + k] * factor[j * n + k];
    if (pivot < -tolerance) fail("expected a positive semi-definite matrix");
    const bool flat = pivot <= tolerance * 1e-3;
    const double root = flat ? 0 : std::sqrt(pivot);
    factor[j * n + j] = root;
    for (size_t i = j + 1; i < n; ++i) {
      const double lower = static_cast<double>(matrix[i * n + j]),
                   upper = static_cast<double>(matrix[j * n + i]);
      if (std::fabs(lower - upper) > tolerance) fail("expected a symmetric matrix");
      double sum = 0.5 * (lower + upper);
      for (size_t k = 0; k < j; ++k) sum -= factor[i * n + k] * factor[j * n + k];
      if (!flat)
        factor[i * n + j] = sum / root;
      else if (std::fabs(sum) > std::sqrt(tolerance * largest))
        fail("expected a positive semi-definite matrix");
    }
  }
  std::vector<float> result(n * n);
  std::transform(factor.begin(), factor.end(), result.begin(),
                 [](double x) { return static_cast<float>(x); });
  return result;
}

}  // namespace tr0n
