#pragma once
#include <cstddef>
#include <map>
#include <mutex>

namespace tr0n {

/// Where sessions on the CPU have their values and what they make of weights: one for all of them, so that
/// what one has freed serves the next. The runtime's own arenas are one for each session, grow by powers of
/// two and keep what they ever had.
///
/// It keeps freed blocks for the next run, as long as all blocks together are not more than were in use at
/// once, and a little.
class ValuePool {
 public:
  static ValuePool& instance();

  /// Aligned to 64 bytes. Throws std::bad_alloc.
  void* allocate(size_t bytes);
  void free(void* data) noexcept;
  /// Gives back to the system what nobody uses, and forgets how much was in use once. After sessions have
  /// been closed.
  void trim() noexcept;
  /// The same with what malloc() keeps. After sessions have been opened, which is when much more is needed
  /// for a moment.
  void trim_all() noexcept;

  struct Bytes {
    size_t live = 0;  ///< in use now
    size_t held = 0;  ///< with what waits to be used again
    size_t most = 0;  ///< in use at once since trim() or restart()
  };
  /// Blocks of less than kLarge are not part of it.
  Bytes bytes();
  /// Counts Bytes::most from now on.
  void restart();

  static constexpr size_t kLarge = size_t{64} << 10;

 private:
  struct Block;
  ValuePool() = default;
  void release(Block* block) noexcept;

  std::mutex mutex_;
  std::multimap<size_t, Block*> free_;
  Block* oldest_ = nullptr;  ///< of the free ones, in the order in which they were freed
  Block* newest_ = nullptr;
  Bytes bytes_;
};

}  // namespace tr0n
