#include "core/rows/rows.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "base/parallel.h"

namespace tr0n {
namespace {

/// Numbers that are gone through between two looks at the token.
constexpr size_t kBlock = size_t{1} << 20;
/// Rows of one look where columns are divided among threads, and columns of one thread: a cache line of
/// floats and more.
constexpr size_t kRows = 1024;
constexpr size_t kColumns = 32;

/// The first of data [begin, end) that is not finite; `end` where all are.
size_t not_finite_in(const float* data, size_t begin, size_t end) {
  constexpr size_t lanes = 1024;
  constexpr uint32_t exponent = 0x7f800000;
  for (size_t at = begin; at < end; at += lanes) {
    const size_t stop = std::min(end, at + lanes);
    uint32_t bad = 0;
    for (size_t i = at; i < stop; ++i) {
      uint32_t bits;
      std::memcpy(&bits, data + i, sizeof bits);
      bad |= static_cast<uint32_t>((bits & exponent) == exponent);
    }
    if (bad == 0) continue;
    for (size_t i = at; i < stop; ++i)
      if (!std::isfinite(data[i])) return i;
  }
  return end;
}

/// Calls body(begin, end) over blocks of [0, count) in order, and over their parts in parallel.
template <class Body>
void in_blocks(size_t count, size_t block, size_t cost, CancelToken& cancel, const Body& body) {
  for (size_t at = 0; at < count; at += block) {
    cancel.throw_if_cancelled();
    const size_t n = std::min(block, count - at);
    for_ranges(n, cost, [&](size_t begin, size_t end) { body(at + begin, at + end); });
  }
}

size_t look(const float* data, size_t count, float* to, CancelToken& cancel) {
  std::atomic<size_t> first{count};
  for (size_t at = 0; at < count && first.load() == count; at += kBlock) {
    cancel.throw_if_cancelled();
    const size_t n = std::min(kBlock, count - at);
    for_ranges(n, 1, [&](size_t begin, size_t end) {
      if (to != nullptr) std::copy_n(data + at + begin, end - begin, to + at + begin);
      const size_t found = not_finite_in(data, at + begin, at + end);
      if (found == at + end) return;
      size_t known = first.load();
      while (found < known && !first.compare_exchange_weak(known, found)) {
      }
    });
  }
  return first.load();
}

/// Calls body(row_begin, row_end, begin, end) over all rows for columns begin … end − 1, columns in parallel:
/// each thread goes through the rows in their order.
template <class Body>
void by_columns(size_t n, size_t d, size_t cost, CancelToken& cancel, const Body& body) {
  const size_t stripes = (d + kColumns - 1) / kColumns;
  for_ranges(stripes, n * kColumns * cost, [&](size_t first, size_t last) {
    const size_t begin = first * kColumns, end = std::min(d, last * kColumns);
    for (size_t at = 0; at < n; at += kRows) {
      cancel.throw_if_cancelled();
      body(at, std::min(n, at + kRows), begin, end);
    }
  });
}

}  // namespace

size_t first_not_finite(const float* data, size_t count, CancelToken& cancel) {
  return look(data, count, nullptr, cancel);
}

size_t copy_finite(const float* data, size_t count, float* to, CancelToken& cancel) {
  return look(data, count, to, cancel);
}

ColumnMoments running_moments(const float* rows, size_t n, size_t d, CancelToken& cancel) {
  ColumnMoments result{std::vector<double>(d), std::vector<double>(d)};
  double *const mean = result.mean.data(), *const square = result.std.data();
  by_columns(n, d, 4, cancel, [=](size_t from, size_t to, size_t begin, size_t end) {
    for (size_t i = from; i < to; ++i) {
      const auto count = static_cast<double>(i + 1);
      for (size_t j = begin; j < end; ++j) {
        const auto x = static_cast<double>(rows[i * d + j]);
        const double difference = x - mean[j];
        mean[j] += difference / count;
        square[j] += difference * (x - mean[j]);
      }
    }
  });
  for (double& value : result.std) value = std::sqrt(value / static_cast<double>(n));
  return result;
}

ColumnMoments two_pass_moments(const float* rows, size_t n, size_t d, CancelToken& cancel) {
  ColumnMoments result{std::vector<double>(d), std::vector<double>(d)};
  double *const mean = result.mean.data(), *const square = result.std.data();
  const auto count = static_cast<double>(n);
  by_columns(n, d, 3, cancel, [=](size_t from, size_t to, size_t begin, size_t end) {
    for (size_t i = from; i < to; ++i)
      for (size_t j = begin; j < end; ++j) mean[j] += static_cast<double>(rows[i * d + j]) / count;
  });
  by_columns(n, d, 4, cancel, [=](size_t from, size_t to, size_t begin, size_t end) {
    for (size_t i = from; i < to; ++i)
      for (size_t j = begin; j < end; ++j) {
        const double difference = static_cast<double>(rows[i * d + j]) - mean[j];
        square[j] += difference * difference / count;
      }
  });
  for (double& value : result.std) value = std::sqrt(value);
  return result;
}

void split_columns(const float* rows, size_t n, size_t d, size_t begin, size_t size, float* part, float* rest,
                   CancelToken& cancel) {
  const size_t others = d - size;
  in_blocks(n, std::max<size_t>(1, kBlock / d), d / 4 + 1, cancel, [=](size_t from, size_t to) {
    for (size_t i = from; i < to; ++i) {
      const float* row = rows + i * d;
      std::copy_n(row, begin, rest + i * others);
      std::copy_n(row + begin, size, part + i * size);
      std::copy_n(row + begin + size, others - begin, rest + i * others + begin);
    }
  });
}

void rescale(const float* data, size_t count, double low, double scale, double base, float* out,
             CancelToken& cancel) {
  in_blocks(count, kBlock, 1, cancel, [=](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i)
      out[i] = static_cast<float>((static_cast<double>(data[i]) - low) * scale + base);
  });
}

double sum_of_squares(const float* data, size_t count, double start, CancelToken& cancel) {
  double sum = start;
  for (size_t at = 0; at < count; at += kBlock) {
    cancel.throw_if_cancelled();
    for (size_t i = at; i < std::min(count, at + kBlock); ++i) {
      const auto x = static_cast<double>(data[i]);
      sum += x * x;
    }
  }
  return sum;
}

}  // namespace tr0n
