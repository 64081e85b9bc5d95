#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "emulator/provider/ep.h"
#include "emulator/provider/gpu.h"
#include "emulator/provider/memory.h"
#include "emulator/provider/provider.h"
#include "emulator/provider/runtime.h"
#include "emulator/provider/streams.h"

namespace tr0n::provider {
namespace {

class TestFactory final : public Factory {
 public:
  TestFactory() {
    GetName = [](const Factory*) { return kName; };
    GetVendor = [](const Factory*) { return "tr0n"; };
    GetVendorId = [](const Factory*) { return kVendor; };
    GetVersion = [](const Factory*) { return "1.0.0"; };
    GetSupportedDevices = [](Factory* self, const HardwareDevice* const* devices, size_t count,
                             EpDevice** made, size_t most, size_t* found) {
      return guarded([&] { *found = static_cast<TestFactory*>(self)->list(devices, count, made, most); });
    };
    CreateEp = [](Factory*, const HardwareDevice* const*, const KeyValuePairs* const*, size_t,
                  const SessionOptions* options, const Logger*,
                  Ep** made) { return guarded([&] { *made = make_ep(options); }); };
    ReleaseEp = [](Factory*, Ep* ep) { release_ep(ep); };
    Factory::CreateAllocator = [](Factory* self, const MemoryInfo* info, const KeyValuePairs*,
                                  Allocator** made) {
      return guarded([&] { *made = static_cast<TestFactory*>(self)->allocator(info); });
    };
    ReleaseAllocator = [](Factory*, Allocator* allocator) { release_allocator(allocator); };
    CreateDataTransfer = [](Factory*, DataTransfer** made) {
      return guarded([&] { *made = make_data_transfer(); });
    };
    IsStreamAware = [](const Factory*) { return true; };
    CreateSyncStreamForDevice = [](Factory*, const MemoryDevice* device, const KeyValuePairs*,
                                   SyncStreamTable** made) {
      return guarded([&] {
        *made = make_stream(static_cast<int>(Runtime::get().ep.MemoryDevice_GetDeviceId(device)), nullptr);
      });
    };
  }
  ~TestFactory() {
    for (MemoryInfo* info : memory_) Runtime::get().api.ReleaseMemoryInfo(info);
  }
  TestFactory(const TestFactory&) = delete;
  TestFactory& operator=(const TestFactory&) = delete;

 private:
  /// One for every emulated GPU, in their order. ONNX Runtime finds no GPU in this machine, so that each
  /// stands on its CPU; its memory is a GPU's.
  size_t list(const HardwareDevice* const* devices, size_t count, EpDevice** made, size_t most) {
    const Runtime& runtime = Runtime::get();
    const HardwareDevice* cpu = nullptr;
    for (size_t k = 0; k < count && cpu == nullptr; ++k)
      if (runtime.api.HardwareDevice_Type(devices[k]) == kHardwareCpu) cpu = devices[k];
    if (cpu == nullptr) return 0;
    size_t found = 0;
    for (int gpu = 0; gpu < gpu_count() && found < most; ++gpu) {
      KeyValuePairs *metadata = nullptr, *options = nullptr;
      runtime.api.CreateKeyValuePairs(&metadata);
      runtime.api.CreateKeyValuePairs(&options);
      runtime.api.AddKeyValuePair(metadata, "cuda_device_id", std::to_string(gpu).c_str());
      runtime.api.AddKeyValuePair(options, "device_id", std::to_string(gpu).c_str());
      Status* status = runtime.ep.CreateEpDevice(this, cpu, metadata, options, &made[found]);
      runtime.api.ReleaseKeyValuePairs(metadata);
      runtime.api.ReleaseKeyValuePairs(options);
      check(status);
      check(runtime.ep.EpDevice_AddAllocatorInfo(made[found++], memory(gpu)));
    }
    return found;
  }

  MemoryInfo* memory(int gpu) {
    while (memory_.size() <= static_cast<size_t>(gpu)) {
      MemoryInfo* info = nullptr;
      check(Runtime::get().api.CreateMemoryInfo_V2("Tr0nTest", static_cast<int>(DeviceType::gpu), kVendor,
                                                   static_cast<int32_t>(memory_.size()), kDefaultMemory, 0,
                                                   kDeviceAllocator, &info));
      memory_.push_back(info);
    }
    return memory_[static_cast<size_t>(gpu)];
  }

  Allocator* allocator(const MemoryInfo* info) const {
    const Runtime& runtime = Runtime::get();
    return make_allocator(
        static_cast<int>(runtime.ep.MemoryDevice_GetDeviceId(runtime.ep.MemoryInfo_GetMemoryDevice(info))),
        info);
  }

  std::vector<MemoryInfo*> memory_;
};

/// The interface version that this library was built for; TR0N_TEST_PROVIDER_ABI pretends another one.
uint32_t abi() {
  const char* text = std::getenv("TR0N_TEST_PROVIDER_ABI");
  return text != nullptr && *text != '\0' ? static_cast<uint32_t>(std::atoi(text)) : kAbi;
}

}  // namespace
}  // namespace tr0n::provider

using namespace tr0n::provider;

extern "C" __attribute__((visibility("default"))) Status* CreateEpFactories(const char*, const ApiBase* base,
                                                                            const Logger*,
                                                                            Factory** factories, size_t most,
                                                                            size_t* count) {
  void* const* table = base->GetApi(abi());
  if (table == nullptr) {
    const std::string text = "the provider was built for version " + std::to_string(abi()) +
                             " of ONNX Runtime's interface, which ONNX Runtime " + base->GetVersionString() +
                             " does not have";
    constexpr uint32_t kOldest = 22;
    return Api(base->GetApi(kOldest)).CreateStatus(static_cast<int>(StatusCode::fail), text.c_str());
  }
  Runtime::open(table);
  return guarded([&] {
    if (most < 1) throw Failure("no room for a factory");
    factories[0] = new TestFactory;
    *count = 1;
  });
}

extern "C" __attribute__((visibility("default"))) Status* ReleaseEpFactory(Factory* factory) {
  delete static_cast<TestFactory*>(factory);
  return nullptr;
}
