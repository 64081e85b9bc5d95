#include "addon/device_reference.h"

#include "addon/arguments.h"
#include "base/closing.h"
#include "bridge/process_exit.h"
#include "device/registry.h"

namespace tr0n::addon {

DeviceReference::~DeviceReference() {
  if (is_cpu() || !device_ || device_.use_count() > 1) return;
  // A function that is copied must not keep the device: the thread's copy is to be the last.
  auto last = std::make_shared<std::shared_ptr<Device>>(std::move(device_));
  close_apart([last] { last->reset(); });
}

Device& DeviceReference::get() {
  const std::lock_guard lock(mutex_);
  if (!device_) {
    device_ = open_device(name_);
    if (!is_cpu()) register_process_exit();  // jobs are stopped before the driver takes itself apart
  }
  return *device_;
}

std::shared_ptr<DeviceReference> read_device(const Napi::Value& value, const std::string& name) {
  const std::string wanted = absent(value) ? "cpu" : read_text(value, name);
  return std::make_shared<DeviceReference>(resolve_device(wanted));
}

Precision read_precision(const Napi::Value& value, const std::string& name) {
  if (absent(value)) return Precision::fp32;
  const std::string text = read_text(value, name);
  if (text == "fp32") return Precision::fp32;
  if (text == "tf32") return Precision::tf32;
  throw_invalid(name, "\"fp32\" or \"tf32\"", value);
  return Precision::fp32;
}

}  // namespace tr0n::addon
