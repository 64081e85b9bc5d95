#include "torch/kept_memory.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "torch/interruption.h"

namespace tr0n::torchscript {
namespace {

constexpr size_t kAlignment = 64;  ///< of the data; the size stands in as many bytes before it
/// Sizes are whole multiples, so that similar ones share blocks; the system's allocator serves what is
/// smaller.
constexpr size_t kUnit = size_t{64} << 10;

class Blocks {
 public:
  /// Null where the system has no more.
  void* take(size_t bytes) {
    const size_t size = bytes < kUnit ? bytes : (bytes + kUnit - 1) / kUnit * kUnit;
    if (size < kUnit) return fresh(size);
    const std::lock_guard<std::mutex> lock(mutex_);
    void* block = reuse(size);
    if (!block) {
      block = fresh(size);
      if (!block) {
        release();
        block = fresh(size);
      }
      if (!block) return nullptr;
    }
    in_use_ += size;
    most_ = std::max(most_, in_use_);
    shrink(most_ - in_use_);
    return block;
  }

  void give_back(void* data) {
    if (!data) return;
    char* const start = static_cast<char*>(data) - kAlignment;
    size_t size = 0;
    std::memcpy(&size, start, sizeof size);
    if (size < kUnit) return std::free(start);
    const std::lock_guard<std::mutex> lock(mutex_);
    in_use_ -= size;
    try {
      kept_[size].push_back(data);
      kept_bytes_ += size;
    } catch (...) {
      std::free(start);  // the list itself cannot grow
    }
  }

  void clear() {
    const std::lock_guard<std::mutex> lock(mutex_);
    release();
    most_ = in_use_;
  }

 private:
  static void* fresh(size_t size) {
    void* start = nullptr;
    if (size > SIZE_MAX - kAlignment || posix_memalign(&start, kAlignment, size + kAlignment) != 0)
      return nullptr;
    std::memcpy(start, &size, sizeof size);
    return static_cast<char*>(start) + kAlignment;
  }
  void* reuse(size_t size) {
    const auto found = kept_.find(size);
    if (found == kept_.end() || found->second.empty()) return nullptr;
    void* block = found->second.back();
    found->second.pop_back();
    kept_bytes_ -= size;
    return block;
  }
  void release() { shrink(0); }
  /// The largest blocks first: they are the fewest.
  void shrink(size_t allowed) {
    for (auto list = kept_.rbegin(); kept_bytes_ > allowed && list != kept_.rend(); ++list)
      for (; kept_bytes_ > allowed && !list->second.empty(); list->second.pop_back()) {
        std::free(static_cast<char*>(list->second.back()) - kAlignment);
        kept_bytes_ -= list->first;
      }
  }

  std::mutex mutex_;
  std::map<size_t, std::vector<void*>> kept_;  ///< free blocks by size
  size_t kept_bytes_ = 0, in_use_ = 0, most_ = 0;
};

/// Leaked: tensors may be freed while the process exits.
Blocks& blocks() {
  static auto* instance = new Blocks;
  return *instance;
}

void free_block(void* data) { blocks().give_back(data); }

at::DataPtr allocate_block(size_t bytes) {
  throw_if_interrupted();
  void* data = bytes > 0 ? blocks().take(bytes) : nullptr;
  TORCH_CHECK(data || bytes == 0, "not enough memory: you tried to allocate ", bytes, " bytes");
  return {data, data, &free_block, c10::Device(c10::kCPU)};
}

/// allocate() is const in some versions of libtorch and not in others, copy_data() is asked for by some: no
/// method says that it overrides, so that all versions compile.
class KeptMemory : public at::Allocator {
 public:
  at::DataPtr allocate(size_t bytes) const { return allocate_block(bytes); }
  at::DataPtr allocate(size_t bytes) { return allocate_block(bytes); }
  at::DeleterFnPtr raw_deleter() const { return &free_block; }
  void copy_data(void* target, const void* source, size_t bytes) const { std::memcpy(target, source, bytes); }
};

}  // namespace

void keep_memory() { c10::SetCPUAllocator(new KeptMemory, /*priority=*/1); }

void release_kept_memory() { blocks().clear(); }

}  // namespace tr0n::torchscript
