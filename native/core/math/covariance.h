#pragma once
#include <cstddef>
#include <vector>

#include "base/cancel.h"

namespace tr0n {

/// Σ_i (x_i − mean)(x_i − mean)ᵀ / (n − 1) of rows x [n, m], n ≥ 2, as [m, m]. Products are in float32 over a
/// thousand centred rows at a time, sums over those in double.
std::vector<float> covariance(const float* rows, size_t n, size_t m, CancelToken& cancel);

}  // namespace tr0n
