#include "device/kernels/mixture_math.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tr0n {
namespace {

constexpr double kHalfLog2Pi = 0.91893853320467274178;
constexpr double kFloor = 1e-6;  // of the std, method.md "Translator"

template <class T>
double log_sum_exp_of(const T* x, size_t n) {
  double largest = -std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < n; ++i) largest = std::max(largest, static_cast<double>(x[i]));
  if (!std::isfinite(largest)) return largest;
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += std::exp(static_cast<double>(x[i]) - largest);
  return largest + std::log(sum);
}

}  // namespace

double log_sum_exp(const float* x, size_t n) { return log_sum_exp_of(x, n); }
double log_sum_exp(const double* x, size_t n) { return log_sum_exp_of(x, n); }

size_t choose_component(const float* logits, size_t components, double u) {
  const double largest = static_cast<double>(*std::max_element(logits, logits + components));
  double total = 0;
  for (size_t k = 0; k < components; ++k) total += std::exp(static_cast<double>(logits[k]) - largest);
  double left = u * total;
  size_t last = 0;  // rounding may leave a little after the end: the last component that has any weight
  for (size_t k = 0; k < components; ++k) {
    const double weight = std::exp(static_cast<double>(logits[k]) - largest);
    if (weight > 0) last = k;
    left -= weight;
    if (left < 0) return k;
  }
  return last;
}

StdTerms std_terms(float log_std) {
  const double s = static_cast<double>(log_std);
  if (s <= 0) {
    const double e = std::exp(s), std = e + kFloor;
    return {1 / std, std::log(std), e / std};
  }
  const double inverse = std::exp(-s), ratio = kFloor * inverse;
  return {inverse / (1 + ratio), s + std::log1p(ratio), 1 / (1 + ratio)};
}

float std_value(float log_std) {
  const double std = std::exp(static_cast<double>(log_std)) + kFloor;
  return static_cast<float>(std::min(std, static_cast<double>(std::numeric_limits<float>::max())));
}

double scaled_distance(const float* z, const float* mean, const double* inverse_std, size_t d) {
  constexpr size_t lanes = 8;
  double sums[lanes] = {};
  size_t j = 0;
  for (; j + lanes <= d; j += lanes)
    for (size_t lane = 0; lane < lanes; ++lane) {
      const double u =
          (static_cast<double>(z[j + lane]) - static_cast<double>(mean[j + lane])) * inverse_std[j + lane];
      sums[lane] += u * u;
    }
  for (; j < d; ++j) {
    const double u = (static_cast<double>(z[j]) - static_cast<double>(mean[j])) * inverse_std[j];
    sums[j % lanes] += u * u;
  }
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

double log_density(const float* logits, const float* means, const StdView& stds, size_t component_count,
                   size_t d, const float* z, double* components) {
  const size_t stride = stds.by_component ? d : 0;
  for (size_t k = 0; k < component_count; ++k) {
    components[k] = static_cast<double>(logits[k]) -
                    0.5 * scaled_distance(z, means + k * d, stds.inverse + k * stride, d);
    if (stds.by_component) components[k] -= stds.log_sums[k];
  }
  return log_sum_exp(components, component_count) - log_sum_exp(logits, component_count) -
         (stds.by_component ? 0.0 : stds.log_sums[0]) - static_cast<double>(d) * kHalfLog2Pi;
}

}  // namespace tr0n
