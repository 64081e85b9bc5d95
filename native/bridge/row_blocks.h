#pragma once
#include <algorithm>
#include <cstddef>

namespace tr0n {

/// Which numbers of rows a session may run at once so that a row's result has the same bits in all of them:
/// multiples of `granularity` up to `max_rows` (itself a multiple).
struct BlockRule {
  size_t granularity = 1;
  size_t max_rows = 1;
  /// On a device: blocks come one after the other, each of a power of two rows (times `granularity`), so that
  /// the device prepares for few sizes, each of which may cost it seconds. Nothing is known about bits in
  /// blocks of other sizes.
  bool one_by_one = false;
};

/// n rows in blocks of equal size, the last one perhaps padded.
struct BlockPlan {
  size_t rows = 0;   ///< of every block, padding included
  size_t count = 0;  ///< blocks
};

/// As many blocks as the threads can share evenly, none larger than allowed; on a device as few as there can
/// be.
inline BlockPlan plan_blocks(const BlockRule& rule, size_t n, size_t threads) {
  const auto divide_up = [](size_t a, size_t b) { return (a + b - 1) / b; };
  if (rule.one_by_one) {
    size_t rows = rule.granularity;
    while (rows < n && 2 * rows <= rule.max_rows) rows *= 2;
    return {rows, divide_up(n, rows)};
  }
  const size_t rounds = divide_up(n, rule.max_rows * threads);
  const size_t rows = divide_up(divide_up(n, rounds * threads), rule.granularity) * rule.granularity;
  const size_t size = std::min(rows, rule.max_rows);
  return {size, divide_up(n, size)};
}

}  // namespace tr0n
