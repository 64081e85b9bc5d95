#pragma once
#include <algorithm>
#include <cstddef>
#include <functional>

#include "base/thread_pool.h"

namespace tr0n {

/// Work, in elementary operations (about a nanosecond each), below which another thread costs more than it
/// saves.
constexpr size_t kSerialWork = 100'000;

/// Calls body(begin, end) over parts of [0, n) whose items cost `cost` operations each. How the range is cut
/// is free: only for bodies whose items are independent. Does not allocate.
template <class Body>
void for_ranges(size_t n, size_t cost, const Body& body) {
  if (n == 0) return;
  const size_t total = n * std::max<size_t>(cost, 1);
  ThreadPool& pool = ThreadPool::instance();
  const size_t threads = pool.size();
  if (n == 1 || threads == 1 || total < kSerialWork) {
    body(size_t{0}, n);
    return;
  }
  // A few parts a thread even out what else the machine does.
  const size_t parts = std::min({n, 4 * threads, std::max<size_t>(2, total / (kSerialWork / 4))});
  const auto part = [&](size_t i) { body(n * i / parts, n * (i + 1) / parts); };
  pool.parallel_for(parts, std::ref(part));
}

}  // namespace tr0n
