#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/cancel.h"

namespace tr0n {

/// What rows of conditions are: anything, distributions, or directions.
enum class ConditionKind { raw, probabilities, unit };

/// What is wrong with a row.
struct ConditionFault {
  enum class What { none, not_finite, negative, sum, direction };
  What what = What::none;
  size_t row = 0;
  size_t index = 0;  ///< not_finite: of the number among all
  double value = 0;  ///< the number, the sum, or the length
};

/// Rows may sum to 1 within this.
constexpr double kSumTolerance = 1e-3;

/// Makes conditions [n, m] of rows, in place: −0 becomes 0, so that equal rows have equal bytes, and
/// directions get the length 1. Nothing is changed by a fault's row or those behind it that anybody may look
/// at. Returns the first number that is not finite, or else the first row that is no distribution or has no
/// direction.
ConditionFault make_conditions(float* rows, size_t n, size_t m, ConditionKind kind, CancelToken& cancel);

/// For every row the number of earlier ones with the same bytes, [n].
std::vector<uint32_t> equal_rows_before(const float* rows, size_t n, size_t m, CancelToken& cancel);

}  // namespace tr0n
