#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "base/cancel.h"

/// What this machine does at its best, with the threads of the pool: the limits that times are compared with.
namespace tr0n {

/// The instruction set that kernels use, "avx512" for one.
std::string instructions();

/// Floating-point operations a second in register tiles whose data is in the first-level cache, one figure a
/// run.
std::vector<double> measure_arithmetic(size_t runs, CancelToken& cancel);

/// Bytes read and written a second by a copy of `bytes` bytes, one figure a run.
std::vector<double> measure_copy(size_t bytes, size_t runs, CancelToken& cancel);

/// Floating-point operations a second of the product [m, k]·[n, k]ᵀ (a linear layer's), one figure a run.
/// Throws Error(ERR_INTERNAL) where an element differs from a sum in double.
std::vector<double> measure_product(size_t m, size_t n, size_t k, size_t runs, CancelToken& cancel);

}  // namespace tr0n
