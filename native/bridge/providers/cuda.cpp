#include "bridge/providers/cuda.h"

#include <unistd.h>

#include <cstdint>
#include <cstdlib>

#include "bridge/providers/options.h"
#include "bridge/providers/plug_in.h"
#include "device/device.h"
#include "device/registry.h"

namespace tr0n {

using ort::Runtime;

namespace {

constexpr const char* kLibrary = "libonnxruntime_providers_cuda.so";
constexpr const char* kShared = "libonnxruntime_providers_shared.so";

std::string plug_in_library() {
  const char* library = std::getenv("TR0N_ORT_PROVIDER");
  return library ? library : "";
}

bool there(const std::string& file) { return access(file.c_str(), R_OK) == 0; }

[[noreturn]] void unavailable(const std::string& name, const std::string& why) {
  throw Error("ERR_DEVICE_UNAVAILABLE", "\"" + name + "\" cannot run models: " + why);
}

/// What both kinds of provider have: the GPU, which tr0n's kernels use as well.
class CudaModels : public ModelDevice {
 public:
  CudaModels(const std::string& name, int index)
      : ModelDevice(name), index_(index), device_(open_device(name)) {}
  std::shared_ptr<Device> compute_device() const override { return device_; }

 protected:
  /// Those that CUDA's provider and plug-ins share.
  ProviderOptions options(const ModelDeviceSettings& settings) const {
    ProviderOptions options;
    options.set("device_id", std::to_string(index_));
    // One queue for tr0n's kernels and the models', in the same (primary) context: what one writes the other
    // reads, without a copy and without waiting.
    options.set("has_user_compute_stream", "1");
    options.set("user_compute_stream", std::to_string(reinterpret_cast<uintptr_t>(device_->stream())));
    options.set("do_copy_in_default_stream", "1");
    // Doubling takes memory that the sampler, or another process, could use, and never gives it back.
    options.set("arena_extend_strategy", "kSameAsRequested");
    // The exhaustive search takes 0.6 s for every new shape, the default algorithm is far slower in the long
    // run.
    options.set("cudnn_conv_algo_search", "HEURISTIC");
    options.set("use_tf32", settings.tf32 ? "1" : "0");
    if (settings.memory_limit > 0) options.set("gpu_mem_limit", std::to_string(settings.memory_limit));
    return options;
  }
  int index() const { return index_; }

 private:
  const int index_;
  std::shared_ptr<Device> device_;
};

ort::MemoryInfoHandle cuda_memory(int index) {
  const ort::Api& api = Runtime::instance().api();
  ort::MemoryInfo* info = nullptr;
  ort::check(api, api.CreateMemoryInfo("Cuda", ort::kDeviceAllocator, index, ort::kDefaultMemory, &info));
  return ort::MemoryInfoHandle(info);
}

/// The provider that ONNX Runtime loads from beside its own library.
class BundledCuda final : public CudaModels {
 public:
  BundledCuda(const std::string& name, int index) : CudaModels(name, index), memory_(cuda_memory(index)) {}

  void append(ort::SessionOptions* options, const ModelDeviceSettings& settings) const override {
    const ort::Api& api = Runtime::instance().api();
    ort::CudaOptions* raw = nullptr;
    ort::Failure failure = ort::take(api, api.CreateCUDAProviderOptions(&raw));
    const ort::CudaOptionsHandle cuda(raw);
    const ProviderOptions wanted = CudaModels::options(settings);
    if (!failure)
      failure = ort::take(api, api.UpdateCUDAProviderOptions(cuda.get(), wanted.keys().data(),
                                                             wanted.values().data(), wanted.size()));
    if (!failure)
      failure = ort::take(api, api.SessionOptionsAppendExecutionProvider_CUDA_V2(options, cuda.get()));
    if (failure)
      unavailable(name(),
                  "ONNX Runtime " + Runtime::version() + " cannot load its CUDA provider " +
                      Runtime::instance().folder() + kLibrary + ": " + failure.message +
                      ". It needs CUDA 12 and cuDNN 9 on the loader's path (LD_LIBRARY_PATH), and must be of "
                      "the same version");
  }
  const ort::MemoryInfo* memory_info() const override { return memory_.get(); }

 private:
  ort::MemoryInfoHandle memory_;
};

/// A provider in a library of its own.
class PlugInCuda final : public CudaModels {
 public:
  PlugInCuda(const std::string& name, int index, const PlugIn& plug_in)
      : CudaModels(name, index), plug_in_(plug_in) {
    if (static_cast<size_t>(index) >= plug_in.devices().size())
      unavailable(name, "the provider library \"" + plug_in.library() + "\" (" + plug_in.provider() +
                            ") has " + std::to_string(plug_in.devices().size()) + " device(s) here");
  }

  void append(ort::SessionOptions* options, const ModelDeviceSettings& settings) const override {
    Runtime& runtime = Runtime::instance();
    const ProviderOptions wanted = CudaModels::options(settings);
    const ort::EpDevice* const devices[] = {device()};
    const ort::Failure failure = ort::take(
        runtime.api(),
        runtime.api().SessionOptionsAppendExecutionProvider_V2(
            options, runtime.env(), devices, 1, wanted.keys().data(), wanted.values().data(), wanted.size()));
    if (failure)
      unavailable(name(), "the provider " + plug_in_.provider() + " of \"" + plug_in_.library() +
                              "\" refuses its options: " + failure.message);
  }
  const ort::MemoryInfo* memory_info() const override { return plug_in_.memory_info(device()); }

 private:
  const ort::EpDevice* device() const { return plug_in_.devices()[static_cast<size_t>(index())]; }
  const PlugIn& plug_in_;
};

}  // namespace

CudaProvider cuda_provider() {
  CudaProvider found;
  found.library = plug_in_library();
  found.plug_in = !found.library.empty();
  if (found.plug_in) {
    if (!there(found.library))
      found.problem = "TR0N_ORT_PROVIDER names \"" + found.library + "\", which is not there";
    return found;
  }
  const std::string& folder = Runtime::instance().folder();
  found.library = folder + kLibrary;
  for (const char* file : {kLibrary, kShared})
    if (!there(folder + file)) {
      found.problem = "ONNX Runtime's CUDA provider is missing: \"" + folder + file +
                      "\" is not there. On Linux x64 the package onnxruntime-node installs it with "
                      "`ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node`; else TR0N_ONNXRUNTIME "
                      "names an ONNX "
                      "Runtime that has it, or TR0N_ORT_PROVIDER a plug-in provider library";
      break;
    }
  return found;
}

std::shared_ptr<ModelDevice> open_cuda_models(const std::string& name, int index) {
  const CudaProvider provider = cuda_provider();
  if (!provider.problem.empty()) unavailable(name, provider.problem);
  if (provider.plug_in) return std::make_shared<PlugInCuda>(name, index, PlugIn::of(provider.library));
  return std::make_shared<BundledCuda>(name, index);
}

}  // namespace tr0n
