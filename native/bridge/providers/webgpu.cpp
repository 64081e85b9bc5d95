#include "bridge/providers/webgpu.h"

#include <algorithm>
#include <cstring>

namespace tr0n {

using ort::Runtime;

namespace {

/// Whether the open ONNX Runtime has the provider. Giving it to a session's options would already open the
/// device, and write to the terminal where there is none.
bool built_in() {
  const ort::Api& api = Runtime::instance().api();
  char** names = nullptr;
  int count = 0;
  ort::check(api, api.GetAvailableProviders(&names, &count));
  const bool found = std::any_of(
      names, names + count, [](const char* name) { return !std::strcmp(name, "WebGpuExecutionProvider"); });
  ort::check(api, api.ReleaseAvailableProviders(names, count));
  return found;
}

[[noreturn]] void unusable(const std::string& why) {
  throw Error("ERR_DEVICE_UNAVAILABLE", "\"webgpu\" cannot be used: " + why);
}

class WebGpu final : public ModelDevice {
 public:
  explicit WebGpu(std::string adapters) : ModelDevice("webgpu"), adapters_(std::move(adapters)) {
    const ort::Api& api = Runtime::instance().api();
    ort::MemoryInfo* info = nullptr;
    // Older runtimes know the longer name only.
    if (ort::take(api,
                  api.CreateMemoryInfo("WebGPU_Buf", ort::kDeviceAllocator, 0, ort::kDefaultMemory, &info)))
      ort::check(api,
                 api.CreateMemoryInfo("WebGPU_Buffer", ort::kDeviceAllocator, 0, ort::kDefaultMemory, &info));
    memory_.reset(info);
  }

  void append(ort::SessionOptions* options, const ModelDeviceSettings&) const override {
    const ort::Api& api = Runtime::instance().api();
    const ort::Failure failure =
        ort::take(api, api.SessionOptionsAppendExecutionProvider(options, "WebGPU", nullptr, nullptr, 0));
    if (failure)
      unusable("ONNX Runtime's WebGPU provider takes none of the adapters that there are (" + adapters_ +
               "); a newer driver may have what it needs: " + failure.message);
  }
  const ort::MemoryInfo* memory_info() const override { return memory_.get(); }

 private:
  const std::string adapters_;
  ort::MemoryInfoHandle memory_;
};

/// What the provider computes over.
VulkanInventory drivers() {
#ifdef __APPLE__
  return {"Metal", "", {{"the GPU of this Mac", "", false}}};
#else
  return vulkan_inventory();
#endif
}

}  // namespace

WebGpuProvider webgpu_provider() {
  VulkanInventory vulkan = drivers();
  std::string problem =
      built_in() ? vulkan.problem
                 : "ONNX Runtime " + Runtime::version() +
                       " was built without its WebGPU provider; that of the package "
                       "onnxruntime-node has it on Linux x64 (TR0N_ONNXRUNTIME names another copy)";
  return {std::move(vulkan.library), std::move(problem), std::move(vulkan.adapters)};
}

std::shared_ptr<ModelDevice> open_webgpu() {
  const WebGpuProvider found = webgpu_provider();
  if (!found.problem.empty()) unusable(found.problem);
  std::string adapters;
  for (const VulkanAdapter& adapter : found.adapters)
    adapters += (adapters.empty() ? "" : ", ") + adapter.name;
  return std::make_shared<WebGpu>(adapters);
}

}  // namespace tr0n
