#pragma once
#include <optional>
#include <vector>

#include "device/buffer.h"

namespace tr0n {

/// Whether what one device works on the other can work on as it is. Null is the host.
inline bool same_memory(const Device* a, const Device* b) {
  const bool a_is_host = a == nullptr || a->host_memory(), b_is_host = b == nullptr || b->host_memory();
  return a == b || (a_is_host && b_is_host);
}

/// What arrays of one device's memory are in another's (null: the host's): themselves where that is the same
/// memory, else a copy that is kept for the next one. For one thread at a time.
template <class T>
class Crossing {
 public:
  Crossing(Device* here, Device* there) : here_(here), there_(there), copies_(!same_memory(here, there)) {}

  /// `count` elements for the other side to read.
  const T* send(const T* from, size_t count) {
    if (!copies_ || count == 0) return from;
    T* const to = room(nullptr, count);
    const T* source = from;
    if (!is_host(here_)) {
      T* const on_host = is_host(there_) ? to : staging(count);
      here_->download(on_host, from, count * sizeof(T));
      source = on_host;
    }
    if (!is_host(there_)) there_->upload(to, source, count * sizeof(T));
    return to;
  }

  /// Where the other side writes what fetch() then brings.
  T* room(T* to, size_t count) {
    if (!copies_) return to;
    if (is_host(there_)) return staging(count);
    if (!memory_ || memory_->size() < count) {
      memory_.reset();
      memory_.emplace(*there_, count);
    }
    return memory_->data();
  }

  /// Brings `count` elements of room() to `to`.
  void fetch(T* to, size_t count) {
    if (!copies_ || count == 0) return;
    const T* source = staging(count);
    if (!is_host(there_)) {
      T* const on_host = is_host(here_) ? to : staging(count);
      there_->download(on_host, memory_->data(), count * sizeof(T));
      source = on_host;
    }
    if (!is_host(here_)) here_->upload(to, source, count * sizeof(T));
  }

 private:
  static bool is_host(const Device* device) { return device == nullptr || device->host_memory(); }
  T* staging(size_t count) {
    if (host_.size() < count) host_.resize(count);
    return host_.data();
  }

  Device* here_;
  Device* there_;
  bool copies_;
  std::vector<T> host_;
  std::optional<Buffer<T>> memory_;
};

}  // namespace tr0n
