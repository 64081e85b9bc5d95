#pragma once
#include <cstdint>

namespace tr0n {

/// Bytes that this process could allocate without being killed: the system's available memory and the
/// cgroup's limit. UINT64_MAX where neither is known. An allocation may succeed far beyond it and fail only
/// when it is written to.
uint64_t available_memory();

}  // namespace tr0n
