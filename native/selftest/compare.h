#pragma once
#include <cmath>
#include <cstddef>
#include <vector>

/// Errors of arrays. Every one of them is infinite where sizes differ or something is NaN that should not be:
/// NaN never passes.
namespace tr0n::selftest {

template <class T>
std::vector<double> widened(const std::vector<T>& values) {
  std::vector<double> result(values.size());
  for (size_t i = 0; i < values.size(); ++i) result[i] = static_cast<double>(values[i]);
  return result;
}

/// ‖got − expected‖₂ / ‖expected‖₂; where expected is all zeros, ‖got‖₂. Elements expected to be infinite
/// must be, with the same sign, and count no further.
double norm_error(const std::vector<double>& got, const std::vector<double>& expected);

/// max |got − expected| / (1 + |expected|), infinite elements as above.
double largest_error(const std::vector<double>& got, const std::vector<double>& expected);

/// The share of elements whose bytes differ.
double differing(const void* got, const void* expected, size_t element_bytes, size_t count);

}  // namespace tr0n::selftest
