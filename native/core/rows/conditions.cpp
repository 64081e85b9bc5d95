#include "core/rows/conditions.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <string_view>
#include <unordered_map>

#include "base/parallel.h"
#include "core/rows/rows.h"

namespace tr0n {
namespace {

using What = ConditionFault::What;

ConditionFault check_distribution(const float* row, size_t m) {
  ConditionFault fault;
  double sum = 0;
  for (size_t i = 0; i < m; ++i) {
    const auto p = static_cast<double>(row[i]);
    if (p < 0) {
      fault.what = What::negative;
      fault.value = p;
      return fault;
    }
    sum += p;
  }
  if (std::fabs(sum - 1) > kSumTolerance) {
    fault.what = What::sum;
    fault.value = sum;
  }
  return fault;
}

ConditionFault normalise(float* row, size_t m) {
  ConditionFault fault;
  double square = 0;
  for (size_t i = 0; i < m; ++i) square += static_cast<double>(row[i]) * static_cast<double>(row[i]);
  if (!(square > 0)) {
    fault.what = What::direction;
    fault.value = std::sqrt(square);
    return fault;
  }
  const double scale = 1 / std::sqrt(square);
  for (size_t i = 0; i < m; ++i) row[i] = static_cast<float>(static_cast<double>(row[i]) * scale);
  return fault;
}

}  // namespace

ConditionFault make_conditions(float* rows, size_t n, size_t m, ConditionKind kind, CancelToken& cancel) {
  ConditionFault first;
  if (const size_t bad = first_not_finite(rows, n * m, cancel); bad < n * m) {
    first.what = What::not_finite;
    first.row = bad / m;
    first.index = bad;
    first.value = static_cast<double>(rows[bad]);
    return first;
  }
  std::mutex mutex;
  const size_t block = std::max<size_t>(1, (size_t{1} << 20) / m);
  for (size_t at = 0; at < n && first.what == What::none; at += block) {
    cancel.throw_if_cancelled();
    for_ranges(std::min(block, n - at), 3 * m, [&](size_t begin, size_t end) {
      for (size_t i = at + begin; i < at + end; ++i) {
        float* row = rows + i * m;
        for (size_t j = 0; j < m; ++j) row[j] += 0.0f;
        if (kind == ConditionKind::raw) continue;
        ConditionFault fault =
            kind == ConditionKind::probabilities ? check_distribution(row, m) : normalise(row, m);
        if (fault.what == What::none) continue;
        fault.row = i;
        const std::lock_guard<std::mutex> lock(mutex);
        if (first.what == What::none || fault.row < first.row) first = fault;
        return;
      }
    });
  }
  return first;
}

std::vector<uint32_t> equal_rows_before(const float* rows, size_t n, size_t m, CancelToken& cancel) {
  std::vector<uint32_t> before(n);
  std::unordered_map<std::string_view, uint32_t> seen;
  seen.reserve(n);
  for (size_t i = 0; i < n; ++i) {
    if (i % 1024 == 0) cancel.throw_if_cancelled();
    const std::string_view bytes(reinterpret_cast<const char*>(rows + i * m), m * sizeof(float));
    before[i] = seen[bytes]++;
  }
  return before;
}

}  // namespace tr0n
