#include "cpu/memory.h"

#include <cstdint>
#include <new>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace tr0n {
namespace {

constexpr std::align_val_t kAlignment{64};

}  // namespace

void* allocate_aligned(size_t bytes) noexcept {
  void* memory = ::operator new(bytes, kAlignment, std::nothrow);
#ifdef __linux__
  constexpr uintptr_t page = uintptr_t{1} << 21;
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(memory) + page - 1) / page * page,
                  end = (reinterpret_cast<uintptr_t>(memory) + bytes) / page * page;
  // A wish: without it everything works, only slower.
  if (memory != nullptr && begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
  return memory;
}

void release_aligned(void* memory) noexcept { ::operator delete(memory, kAlignment); }

}  // namespace tr0n
