#pragma once
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <memory>
#include <new>

namespace tr0n {

/// Uninitialised memory on a cache line boundary, owned. The alignment is part of the results: the runtime's
/// vectorised loops treat the elements before the first aligned one differently.
class HostBlock {
 public:
  static constexpr size_t kAlignment = 64;

  HostBlock() = default;
  explicit HostBlock(size_t bytes) : bytes_(bytes) {
    if (bytes > std::numeric_limits<size_t>::max() / 2) throw std::bad_alloc();
    const size_t rounded = (bytes + kAlignment) / kAlignment * kAlignment;  // never 0
    void* memory = nullptr;
    if (posix_memalign(&memory, kAlignment, rounded) != 0) throw std::bad_alloc();
    data_.reset(memory);
  }

  void* data() const { return data_.get(); }
  float* floats() const { return static_cast<float*>(data_.get()); }
  size_t bytes() const { return bytes_; }

  static bool aligned(const void* pointer) { return reinterpret_cast<size_t>(pointer) % kAlignment == 0; }

 private:
  struct Free {
    void operator()(void* memory) const noexcept { std::free(memory); }
  };
  std::unique_ptr<void, Free> data_;
  size_t bytes_ = 0;
};

}  // namespace tr0n
