#pragma once
#include <cstddef>

namespace tr0n::addon {

/// Bytes this process could still get: the system's estimate, or the control group's limit where that is
/// lower.
size_t available_memory();
/// Gives freed memory back to the system where the allocator can.
void trim_memory();

}  // namespace tr0n::addon
