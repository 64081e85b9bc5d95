#pragma once
#include <cstddef>

namespace tr0n {

/// Memory aligned to 64 bytes; large blocks in large pages where the system gives them, since kernels walk
/// through many rows at once and would miss the translation buffer at each. Null where there is none.
void* allocate_aligned(size_t bytes) noexcept;
void release_aligned(void* memory) noexcept;

}  // namespace tr0n
