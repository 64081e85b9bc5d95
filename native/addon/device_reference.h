#pragma once
#include <napi.h>

#include <memory>
#include <mutex>
#include <string>

#include "addon/counters.h"
#include "device/device.h"

namespace tr0n::addon {

/// A device by its name. A GPU is opened at the first get(), which takes tenths of a second that a job has
/// and the JavaScript thread has not, and closed when the last reference to it goes, on a thread of its own
/// for the same reason. For several threads.
class DeviceReference {
 public:
  /// `name` as resolve_device() gives it.
  explicit DeviceReference(std::string name) : name_(std::move(name)) {}
  ~DeviceReference();
  DeviceReference(const DeviceReference&) = delete;
  DeviceReference& operator=(const DeviceReference&) = delete;

  const std::string& name() const { return name_; }
  bool is_cpu() const { return name_ == "cpu"; }
  /// Throws what open_device() throws. Valid as long as this lives.
  Device& get();

 private:
  const std::string name_;
  std::mutex mutex_;
  std::shared_ptr<Device> device_;
};

/// The device that an argument names; the CPU where it is absent. Throws where that device is not there.
std::shared_ptr<DeviceReference> read_device(const Napi::Value& value, const std::string& name);

/// Precision from "fp32" or "tf32"; fp32 where it is absent.
Precision read_precision(const Napi::Value& value, const std::string& name);

}  // namespace tr0n::addon
