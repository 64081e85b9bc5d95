#pragma once
#include <cstddef>
#include <vector>

#include "base/cancel.h"

namespace tr0n {

/// Eigenvalues, rising, of the symmetric matrix [n, n], and their vectors in its rows: Householder's
/// reduction to a tridiagonal form and implicit QL (Bowdler, Martin, Reinsch, Wilkinson: Handbook for
/// Automatic Computation II, 1971), in the order of EISPACK's tred2 and tql2. What rounding left unsymmetric
/// is not looked for: of each pair one number counts.
std::vector<double> symmetric_eigen(std::vector<double>& matrix, size_t n, CancelToken& cancel);

}  // namespace tr0n
