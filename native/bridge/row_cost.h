#pragma once
#include <cstddef>

namespace tr0n {

/// What running one row forwards takes, counted from shapes and not measured by a clock: which blocks rows
/// run in may decide the last bit of a result, and must not depend on how busy a machine is.
struct RowCost {
  double flops = 0;  ///< of a row
  double nodes = 0;  ///< of a call, whatever its rows
  double bytes = 0;  ///< of weights, read by a call whatever its rows

  RowCost& operator+=(const RowCost& other) {
    flops += other.flops;
    nodes += other.nodes;
    bytes += other.bytes;
    return *this;
  }

  /// In operations that take as long, what a call costs besides its rows: 2 µs a node and 25 GB/s, at 100
  /// GFLOP/s.
  double call() const { return 2e5 * nodes + 4 * bytes; }
};

/// How much is found out about a model before its rows run in blocks.
enum class ProbeTier {
  fine,    ///< a row takes less than a millisecond: the finest blocks that agree, up to 32 rows
  padded,  ///< blocks of 8 and few others: a call costs much besides its rows
  alone,   ///< blocks would gain at most a fifth, and less than that was measured: rows run one by one
};

inline ProbeTier probe_tier(const RowCost& cost) {
  constexpr double kMillisecond = 1e8;
  if (cost.flops + cost.call() < kMillisecond) return ProbeTier::fine;
  return cost.call() > cost.flops / 4 ? ProbeTier::padded : ProbeTier::alone;
}

}  // namespace tr0n
