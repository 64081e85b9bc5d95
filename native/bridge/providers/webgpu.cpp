#include "bridge/providers/webgpu.h"

#include "bridge/providers/vulkan.h"

namespace tr0n {

using ort::Runtime;

namespace {

class WebGpu final : public ModelDevice {
 public:
  WebGpu() : ModelDevice("webgpu") {
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
      throw Error(
          "ERR_DEVICE_UNAVAILABLE",
          "\"webgpu\" cannot be used: ONNX Runtime " + Runtime::version() +
              " was built without its WebGPU provider; that of the package onnxruntime-node has it on "
              "Linux x64 (TR0N_ONNXRUNTIME names another copy): " +
              failure.message);
  }
  const ort::MemoryInfo* memory_info() const override { return memory_.get(); }

 private:
  ort::MemoryInfoHandle memory_;
};

}  // namespace

std::shared_ptr<ModelDevice> open_webgpu() {
  const VulkanInventory found = vulkan_inventory();
  if (!found.problem.empty())
    throw Error("ERR_DEVICE_UNAVAILABLE", "\"webgpu\" cannot be used: " + found.problem);
  return std::make_shared<WebGpu>();
}

}  // namespace tr0n
