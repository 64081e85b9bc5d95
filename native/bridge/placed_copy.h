#pragma once
#include <cstddef>

#include "bridge/place.h"

namespace tr0n {

/// Copies numbers between places that have addresses. What crosses between host and devices is counted.
void copy_floats(float* to, const Place& there, const float* from, const Place& here, size_t count);

/// rows [from + 1 … from + times] = row `from`, of `size` numbers each.
void repeat_row(float* rows, const Place& place, size_t size, size_t from, size_t times);

}  // namespace tr0n
