#pragma once
#include <algorithm>
#include <cstddef>
#include <string>

#include "base/error.h"
#include "cuda/launch/queue.h"

namespace tr0n::cuda {

/// The number of blocks that have `count` items, `each` in one.
inline unsigned block_count(size_t count, size_t each) {
  const size_t blocks = (count + each - 1) / each;
  if (blocks > 0x7FFFFFFF)
    throw Error("ERR_INVALID_ARGUMENT",
                "a call of " + std::to_string(count) + " elements is more than a device takes at once");
  return static_cast<unsigned>(blocks);
}

/// A launch over independent rows [n, size], as kernels/rows.cuh expects it: four elements a thread where up
/// to 512 threads suffice. How many share a row depends on `size` alone; how many rows share a block does not
/// change results, and is kept low where there are few rows, so that every multiprocessor gets some.
inline Launch rows_launch(const Queue& queue, const char* kernel, size_t n, size_t size) {
  size_t threads = 32;
  while (threads < 512 && 4 * threads < size) threads *= 2;
  const size_t most = std::max<size_t>(1, 256 / threads);
  const size_t rows = std::clamp<size_t>(n / static_cast<size_t>(queue.multiprocessors()), 1, most);
  return {
      kernel, {block_count(n, rows), 1, 1}, {static_cast<unsigned>(threads), static_cast<unsigned>(rows), 1}};
}

/// The same with a warp for each row, whatever its size.
inline Launch warps_launch(const Queue& queue, const char* kernel, size_t n) {
  return rows_launch(queue, kernel, n, 1);
}

}  // namespace tr0n::cuda
