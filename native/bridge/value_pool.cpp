#include "bridge/value_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <new>
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace tr0n {

/// In front of the data.
struct alignas(64) ValuePool::Block {
  size_t bytes;                                   ///< with this; 0 for one of malloc's
  std::multimap<size_t, Block*>::iterator place;  ///< while it is free
  Block *older, *newer;                           ///< among the free ones
};

namespace {

constexpr size_t kPage = 4096;
/// From here on the system is asked for large pages.
constexpr size_t kHuge = size_t{8} << 20;
/// What may be kept beyond what was in use at once.
constexpr size_t kSlack = size_t{32} << 20;

}  // namespace

ValuePool& ValuePool::instance() {
  static auto* pool = new ValuePool;  // leaked: sessions may be released while the process exits
  return *pool;
}

void* ValuePool::allocate(size_t wanted) {
  if (wanted > SIZE_MAX / 2) throw std::bad_alloc();
  if (wanted < kLarge) {
    void* data = nullptr;
    if (posix_memalign(&data, alignof(Block), sizeof(Block) + wanted) != 0) throw std::bad_alloc();
    auto* block = new (data) Block{};
    return block + 1;
  }
  const size_t bytes = (sizeof(Block) + wanted + kPage - 1) / kPage * kPage;
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto fit = free_.lower_bound(bytes);
  Block* block = nullptr;
  if (fit != free_.end() && fit->first - bytes <= bytes / 4) {
    block = fit->second;
    (block->older ? block->older->newer : oldest_) = block->newer;
    (block->newer ? block->newer->older : newest_) = block->older;
    free_.erase(fit);
  } else {
    const size_t most = std::max(bytes_.most, bytes_.live + bytes);
    const size_t limit = most + std::max(most / 16, kSlack);
    while (oldest_ && bytes_.held + bytes > limit) release(oldest_);
    void* data = MAP_FAILED;
    for (;;) {
      data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
      if (data != MAP_FAILED || !oldest_) break;
      release(oldest_);
    }
    if (data == MAP_FAILED) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
    if (bytes >= kHuge) madvise(data, bytes, MADV_HUGEPAGE);
#endif
    block = new (data) Block{};
    block->bytes = bytes;
    bytes_.held += bytes;
  }
  bytes_.live += block->bytes;
  bytes_.most = std::max(bytes_.most, bytes_.live);
  return block + 1;
}

void ValuePool::free(void* data) noexcept {
  if (!data) return;
  Block* block = static_cast<Block*>(data) - 1;
  if (block->bytes == 0) {
    ::free(block);
    return;
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  bytes_.live -= block->bytes;
  block->place = free_.emplace(block->bytes, block);
  block->older = newest_;
  block->newer = nullptr;
  (newest_ ? newest_->newer : oldest_) = block;
  newest_ = block;
}

void ValuePool::release(Block* block) noexcept {
  (block->older ? block->older->newer : oldest_) = block->newer;
  (block->newer ? block->newer->older : newest_) = block->older;
  free_.erase(block->place);
  bytes_.held -= block->bytes;
  munmap(block, block->bytes);
}

void ValuePool::trim() noexcept {
  const std::lock_guard<std::mutex> lock(mutex_);
  while (oldest_) release(oldest_);
  bytes_.most = bytes_.live;
}

void ValuePool::trim_all() noexcept {
  trim();
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

ValuePool::Bytes ValuePool::bytes() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return bytes_;
}

void ValuePool::restart() {
  const std::lock_guard<std::mutex> lock(mutex_);
  bytes_.most = bytes_.live;
}

}  // namespace tr0n
