#include "bridge/providers/plug_in.h"

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>

namespace tr0n {

using ort::Runtime;

namespace {

std::vector<const ort::EpDevice*> all_devices() {
  Runtime& runtime = Runtime::instance();
  const ort::EpDevice* const* list = nullptr;
  size_t count = 0;
  ort::check(runtime.api(), runtime.api().GetEpDevices(runtime.env(), &list, &count),
             "ERR_DEVICE_UNAVAILABLE");
  return {list, list + count};
}

}  // namespace

PlugIn::PlugIn(std::string library) : library_(std::move(library)) {
  Runtime& runtime = Runtime::instance();
  get_memory_ = runtime.later<ort::GetDeviceMemory>(ort::kDeviceMemoryVersion, ort::kDeviceMemoryIndex);
  if (!get_memory_)
    throw Error("ERR_DEVICE_UNAVAILABLE", "ONNX Runtime " + Runtime::version() +
                                              " is too old for the provider library \"" + library_ +
                                              "\", which TR0N_ORT_PROVIDER names: expected 1.23 or newer");
  const std::vector<const ort::EpDevice*> before = all_devices();
  const ort::Failure failure = ort::take(
      runtime.api(),
      runtime.api().RegisterExecutionProviderLibrary(runtime.env(), library_.c_str(), library_.c_str()));
  if (failure)
    throw Error(
        "ERR_DEVICE_UNAVAILABLE",
        "ONNX Runtime " + Runtime::version() + " cannot use the provider library \"" + library_ +
            "\", which TR0N_ORT_PROVIDER names: " + failure.message +
            ". It must be a plug-in execution provider built for this version, and the libraries that it "
            "needs must be on the loader's path (LD_LIBRARY_PATH)");
  for (const ort::EpDevice* device : all_devices())
    if (std::find(before.begin(), before.end(), device) == before.end()) devices_.push_back(device);
  if (devices_.empty())
    throw Error("ERR_DEVICE_UNAVAILABLE",
                "the provider library \"" + library_ +
                    "\", which TR0N_ORT_PROVIDER names, has no device on this machine");
  for (const ort::EpDevice* device : devices_)
    if (!get_memory_(device, 0))
      throw Error("ERR_DEVICE_UNAVAILABLE", "the provider library \"" + library_ +
                                                "\", which TR0N_ORT_PROVIDER names, tells no memory of its "
                                                "device: it is no provider of a GPU");
  provider_ = runtime.api().EpDevice_EpName(devices_.front());
}

const PlugIn& PlugIn::of(const std::string& library) {
  static auto* mutex = new std::mutex;  // threads may outlive main()
  static auto* known = new std::map<std::string, std::unique_ptr<const PlugIn>>;
  const std::lock_guard lock(*mutex);
  std::unique_ptr<const PlugIn>& entry = (*known)[library];
  if (!entry) entry.reset(new PlugIn(library));
  return *entry;
}

}  // namespace tr0n
