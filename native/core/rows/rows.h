#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/cancel.h"

/// Arithmetic over rows [n, d] of numbers, row-major, on the threads of the pool. Blocks of rows, between
/// which a job can be cancelled. A result is a function of the numbers alone: sums run over rows in their
/// order, in double, whatever the threads.
namespace tr0n {

/// The index of the first number that is not finite; `count` where all are.
size_t first_not_finite(const float* data, size_t count, CancelToken& cancel);

/// Copies, and returns as first_not_finite does; what follows the first bad number may not have been copied.
size_t copy_finite(const float* data, size_t count, float* to, CancelToken& cancel);

/// Mean and standard deviation of every column.
struct ColumnMoments {
  std::vector<double> mean, std;  ///< [d]
};

/// Of rows that are many and may lie far from 0: Welford's update, over n. Large means do not cancel the
/// variance.
ColumnMoments running_moments(const float* rows, size_t n, size_t d, CancelToken& cancel);

/// Of two passes, mean = Σ x/n and std² = Σ (x − mean)²/n, every term divided before it is added.
ColumnMoments two_pass_moments(const float* rows, size_t n, size_t d, CancelToken& cancel);

/// rows [n, d] → their columns begin … begin + size − 1, [n, size], and the others in their order, [n, d −
/// size].
void split_columns(const float* rows, size_t n, size_t d, size_t begin, size_t size, float* part, float* rest,
                   CancelToken& cancel);

/// (x − low)·scale + base in double, rounded; in place of the caller's own arithmetic.
void rescale(const float* data, size_t count, double low, double scale, double base, float* out,
             CancelToken& cancel);

/// Σ x² in the numbers' order, added to `start`.
double sum_of_squares(const float* data, size_t count, double start, CancelToken& cancel);

}  // namespace tr0n
