#pragma once
#include <cstddef>
#include <new>

#include "cpu/memory.h"

namespace tr0n {

/// A block of memory that one thread keeps and that only grows: kernels take workspace from it without
/// allocating in every step. Aligned to 64 bytes; the content is undefined.
class Scratch {
 public:
  Scratch() = default;
  ~Scratch() { release_aligned(memory_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  template <class T>
  T* get(size_t count) {
    if (count * sizeof(T) > bytes_) {
      void* larger = allocate_aligned(count * sizeof(T));
      if (larger == nullptr) throw std::bad_alloc();
      release_aligned(memory_);
      memory_ = larger;
      bytes_ = count * sizeof(T);
    }
    return static_cast<T*>(memory_);
  }

 private:
  void* memory_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace tr0n
