#include "addon/device_reference.h"

#include <chrono>
#include <condition_variable>
#include <thread>

#include "addon/arguments.h"
#include "bridge/process_exit.h"
#include "device/registry.h"

namespace tr0n::addon {
namespace {

constexpr auto kPatience = std::chrono::seconds(10);

struct Closing {
  std::mutex mutex;
  std::condition_variable change;
  int count = 0;
};
Closing& closing() {
  static auto* state = new Closing;  // never destroyed: threads may outlive main()
  return *state;
}

}  // namespace

DeviceReference::~DeviceReference() {
  if (is_cpu() || !device_ || device_.use_count() > 1) return;
  Closing& state = closing();
  {
    const std::lock_guard lock(state.mutex);
    ++state.count;
  }
  auto let_go = [&state, device = std::move(device_)]() mutable {
    device.reset();
    const std::lock_guard lock(state.mutex);
    --state.count;
    state.change.notify_all();
  };
  try {
    std::thread(let_go).detach();
  } catch (const std::exception&) {
    let_go();  // no thread to be had
  }
}

void DeviceReference::wait_for_closing() {
  Closing& state = closing();
  std::unique_lock lock(state.mutex);
  state.change.wait_for(lock, kPatience, [&] { return state.count == 0; });
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
