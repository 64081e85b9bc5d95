#pragma once
#include <cstddef>
#include <vector>

namespace tr0n {

/// The lower triangular L [n, n] with L·Lᵀ = matrix, for a symmetric positive semi-definite matrix [n, n]; a
/// direction without variance gives a column of zeros. In double inside. Throws Error(ERR_INVALID_ARGUMENT)
/// for a matrix that is not finite, not symmetric or has a negative direction.
std::vector<float> cholesky(const std::vector<float>& matrix, size_t n);

}  // namespace tr0n
