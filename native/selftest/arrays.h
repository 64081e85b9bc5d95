#pragma once
#include <cstring>
#include <vector>

#include "device/buffer.h"

namespace tr0n::selftest {

/// An array on a device. Without values it holds NaN (all bits set), so that neither an element that a kernel
/// leaves out nor one that it reads before writing passes a comparison.
template <class T>
class Array {
 public:
  Array(Device& device, const std::vector<T>& values) : buffer_(device, values.size()) {
    buffer_.upload(values.data(), values.size());
  }
  Array(Device& device, size_t size) : Array(device, poison(size)) {}

  T* data() { return buffer_.data(); }
  const T* data() const { return buffer_.data(); }
  size_t size() const { return buffer_.size(); }
  void set(const std::vector<T>& values) { buffer_.upload(values.data(), values.size()); }
  void forget() { set(poison(size())); }
  /// Waits for the kernels called so far.
  std::vector<T> values() const {
    std::vector<T> result(buffer_.size());
    buffer_.download(result.data(), result.size());
    return result;
  }

 private:
  static std::vector<T> poison(size_t size) {
    std::vector<T> values(size);
    if (size > 0) std::memset(static_cast<void*>(values.data()), 0xff, size * sizeof(T));
    return values;
  }
  Buffer<T> buffer_;
};

}  // namespace tr0n::selftest
