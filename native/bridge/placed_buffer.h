#pragma once
#include <optional>

#include "bridge/host_block.h"
#include "bridge/place.h"
#include "device/buffer.h"

namespace tr0n {

/// Memory for numbers at a place, kept while it suffices. None in places where only the runtime has memory.
class PlacedBuffer {
 public:
  /// At least `elements`, whose values are undefined; null in a runtime's place.
  float* reserve(const Place& place, size_t elements) {
    if (place.kind == Place::Kind::runtime) return nullptr;
    if (place.is_host()) {
      const size_t bytes = elements * sizeof(float);
      if (host_.bytes() < bytes || !host_.data()) host_ = HostBlock(bytes);
      return host_.floats();
    }
    if (!device_ || place != place_ || device_->size() < elements) {
      device_.reset();  // before there is more
      device_.emplace(*place.device, elements);
      place_ = place;
    }
    return device_->data();
  }
  /// What reserve() gave last.
  float* data(const Place& place) { return place.is_host() ? host_.floats() : device_->data(); }

 private:
  HostBlock host_;
  std::optional<Buffer<float>> device_;
  Place place_;  ///< of device_
};

}  // namespace tr0n
