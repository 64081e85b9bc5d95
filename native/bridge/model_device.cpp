#include "bridge/model_device.h"

#include <map>
#include <mutex>

#include "bridge/process_exit.h"
#include "bridge/providers/cuda.h"
#include "bridge/providers/webgpu.h"

namespace tr0n {
namespace {

struct Devices {
  std::mutex mutex;
  std::map<std::string, std::weak_ptr<ModelDevice>> open;
};
Devices& devices() {
  static auto* all = new Devices;  // threads may outlive main()
  return *all;
}

std::shared_ptr<ModelDevice> make(const std::string& name) {
  if (name == "webgpu") return open_webgpu();
  constexpr const char* kCuda = "cuda:";
  const std::string digits = name.rfind(kCuda, 0) == 0 ? name.substr(5) : "";
  if (digits.empty() || digits.size() > 4 || digits.find_first_not_of("0123456789") != std::string::npos)
    throw Error("ERR_INVALID_ARGUMENT",
                "device: expected \"cpu\", \"cuda:N\" or \"webgpu\" for a model, got \"" + name + "\"");
  return open_cuda_models(name, std::stoi(digits));
}

}  // namespace

Place ModelDevice::place() const {
  const std::shared_ptr<Device> device = compute_device();
  return device ? Place::on(*device) : Place::inside(*this);
}

Error lost_device(const std::string& model, const ModelDevice& device, const char* during,
                  const ort::Failure& failure) {
  // A context of CUDA does not come back within its process.
  const bool cuda = device.compute_device() != nullptr;
  return {"ERR_DEVICE_LOST",
          model + ": \"" + device.name() + "\" failed " + during +
              ": what lives on it can only be disposed of; " +
              (cuda ? "restart the process to use it again: " : "then the models can be opened again: ") +
              failure.message};
}

std::shared_ptr<ModelDevice> open_model_device(const std::string& name) {
  if (name == "cpu") return nullptr;
  Devices& all = devices();
  const std::lock_guard lock(all.mutex);
  std::weak_ptr<ModelDevice>& entry = all.open[name];
  if (std::shared_ptr<ModelDevice> device = entry.lock()) return device;
  std::shared_ptr<ModelDevice> device = make(name);
  entry = device;
  register_process_exit();  // jobs are stopped before a provider's library takes itself apart
  return device;
}

int open_runtime_devices() {
  Devices& all = devices();
  const std::lock_guard lock(all.mutex);
  int count = 0;
  for (const auto& [name, entry] : all.open) {
    const std::shared_ptr<ModelDevice> device = entry.lock();
    if (device && !device->compute_device()) ++count;
  }
  return count;
}

}  // namespace tr0n
