#pragma once

namespace tr0n {

class Device;
class ModelDevice;

/// Whose memory a value lies in. Values go from one place to another in SegmentChain alone.
struct Place {
  enum class Kind {
    host,     ///< the process's
    device,   ///< a Device's: by its addresses, in the order of its queue
    runtime,  ///< that of a device which ONNX Runtime alone can address: WebGPU's buffers
  };
  Kind kind = Kind::host;
  Device* device = nullptr;            ///< of Kind::device
  const ModelDevice* owner = nullptr;  ///< of Kind::runtime: whose buffers they are

  static Place on(Device& device) { return {Kind::device, &device, nullptr}; }
  static Place inside(const ModelDevice& owner) { return {Kind::runtime, nullptr, &owner}; }

  bool is_host() const { return kind == Kind::host; }
  bool operator==(const Place& other) const {
    return kind == other.kind && device == other.device && owner == other.owner;
  }
  bool operator!=(const Place& other) const { return !(*this == other); }
};

/// The place, or the host's memory instead of one that has no addresses.
inline Place in_memory(const Place& place) { return place.kind == Place::Kind::runtime ? Place{} : place; }

}  // namespace tr0n
