#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "device/device.h"

/// Kinds of devices beside the CPU. Each is a folder that registers itself; who uses devices knows none of
/// them but by this file.
namespace tr0n {

/// What a driver says of a device.
struct DeviceSummary {
  int index = 0;
  std::string name;
  uint64_t memory = 0;             ///< bytes
  std::string compute_capability;  ///< "8.9"
  int multiprocessors = 0;
  std::string problem;  ///< why it cannot be used; empty where it can
};

/// What there is of a kind, found without opening a device.
struct Inventory {
  std::string driver;   ///< the library's path
  std::string version;  ///< the newest that the driver supports, "13.0"; empty where unknown
  std::string problem;  ///< why no device of it can be used; empty where there are devices
  bool emulated = false;
  std::vector<DeviceSummary> devices;
  std::string kernels;  ///< how the kernels of this build were made, or why there are none
  /// What is embedded, by file: "linear", {"compute_80 (PTX)", "sm_90"}.
  std::vector<std::pair<std::string, std::vector<std::string>>> images;
};

/// One kind of device. Lives as long as the process.
class DeviceKind {
 public:
  virtual const char* name() const = 0;  ///< "cuda", of whose devices "cuda:0" is the first
  /// Never throws.
  virtual Inventory inventory() const = 0;
  /// The device of this index: one object in a process for as long as somebody holds it. Throws
  /// ERR_DEVICE_UNAVAILABLE that says what was tried and why it failed.
  virtual std::shared_ptr<Device> open(int index) const = 0;
  /// Devices that are open now, in the whole process.
  virtual int open_count() const = 0;

 protected:
  ~DeviceKind() = default;
};

/// Called once a kind, before main() or when the library that has it is loaded.
void register_device_kind(const DeviceKind& kind);
/// All that registered.
const std::vector<const DeviceKind*>& device_kinds();

/// The device that a name stands for: "cpu", "cuda:N", "cuda" (the first that can be used) or "auto" (the
/// first of any kind, or else "cpu"; an emulated device is never chosen by itself). Throws
/// ERR_DEVICE_UNAVAILABLE that says what was tried and why it does not do, ERR_INVALID_ARGUMENT for another
/// name.
std::string resolve_device(const std::string& name);

/// The device of a name that resolve_device() gave. Throws as DeviceKind::open() does.
std::shared_ptr<Device> open_device(const std::string& name);

}  // namespace tr0n
