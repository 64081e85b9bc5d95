#include "selftest/compare.h"

#include <algorithm>
#include <cstring>

namespace tr0n::selftest {
namespace {

/// Calls `element(got, expected)` for finite pairs; false where one side is NaN or an infinity is missing.
template <class Element>
bool each(const std::vector<double>& got, const std::vector<double>& expected, const Element& element) {
  if (got.size() != expected.size()) return false;
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::isfinite(got[i]) && std::isfinite(expected[i]))
      element(got[i], expected[i]);
    else if (!(got[i] == expected[i]))
      return false;
  }
  return true;
}

double or_infinite(double error) { return std::isnan(error) ? INFINITY : error; }

}  // namespace

double norm_error(const std::vector<double>& got, const std::vector<double>& expected) {
  double difference = 0, size = 0;
  const bool comparable = each(got, expected, [&](double a, double b) {
    difference += (a - b) * (a - b);
    size += b * b;
  });
  if (!comparable) return INFINITY;
  return or_infinite(size > 0 ? std::sqrt(difference / size) : std::sqrt(difference));
}

double largest_error(const std::vector<double>& got, const std::vector<double>& expected) {
  double largest = 0;
  const bool comparable = each(got, expected, [&](double a, double b) {
    largest = std::max(largest, or_infinite(std::fabs(a - b) / (1 + std::fabs(b))));
  });
  return comparable ? largest : INFINITY;
}

double differing(const void* got, const void* expected, size_t element_bytes, size_t count) {
  size_t different = 0;
  for (size_t i = 0; i < count; ++i)
    different += std::memcmp(static_cast<const char*>(got) + i * element_bytes,
                             static_cast<const char*>(expected) + i * element_bytes, element_bytes) != 0;
  return count == 0 ? 0 : static_cast<double>(different) / static_cast<double>(count);
}

}  // namespace tr0n::selftest
