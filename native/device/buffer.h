#pragma once
#include <cstddef>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/error.h"
#include "device/device.h"

namespace tr0n {

/// An array in a device's memory, owned. Its values are undefined until written.
template <class T>
class Buffer {
  static_assert(std::is_trivially_copyable_v<T>, "device memory is copied bytewise");

 public:
  Buffer(Device& device, size_t size) : device_(&device), size_(size) {
    if (size > std::numeric_limits<size_t>::max() / 2 / sizeof(T))
      throw Error("ERR_OUT_OF_MEMORY",
                  "an array of " + std::to_string(size) + " elements cannot be allocated");
    if (size > 0) data_ = static_cast<T*>(device.allocate(size * sizeof(T)));
  }
  ~Buffer() {
    if (data_ != nullptr) device_->release(data_);
  }
  Buffer(Buffer&& other) noexcept
      : device_(other.device_),
        size_(std::exchange(other.size_, 0)),
        data_(std::exchange(other.data_, nullptr)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(size_, other.size_);
    std::swap(data_, other.data_);
    return *this;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t size() const { return size_; }

  void upload(const T* from, size_t count, size_t offset = 0) {
    if (count > 0) device_->upload(data_ + offset, from, count * sizeof(T));
  }
  void download(T* to, size_t count, size_t offset = 0) const {
    if (count > 0) device_->download(to, data_ + offset, count * sizeof(T));
  }
  void fill(const T& value) { upload(std::vector<T>(size_, value).data(), size_); }

 private:
  Device* device_;
  size_t size_;
  T* data_ = nullptr;
};

/// An array that both the host and a device work on: one block where the device's memory is the host's, else
/// two that push() and pull() bring into step. `host()` is valid after pull(), `device()` after push().
template <class T>
class Mirror {
 public:
  Mirror(Device& device, size_t size)
      : device_(device, size), shared_(device.host_memory()), host_(shared_ ? 0 : size) {}
  T* host() { return shared_ ? device_.data() : host_.data(); }
  const T* host() const { return shared_ ? device_.data() : host_.data(); }
  T* device() { return device_.data(); }
  const T* device() const { return device_.data(); }
  size_t size() const { return device_.size(); }
  void push(size_t count, size_t offset = 0) {
    if (!shared_) device_.upload(host_.data() + offset, count, offset);
  }
  void pull(size_t count, size_t offset = 0) {
    if (!shared_) device_.download(host_.data() + offset, count, offset);
  }
  void push() { push(size()); }
  void pull() { pull(size()); }

 private:
  Buffer<T> device_;
  bool shared_;
  std::vector<T> host_;
};

}  // namespace tr0n
