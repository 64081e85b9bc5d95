#include "emulator/provider/memory.h"

#include <map>
#include <memory>
#include <mutex>

#include "emulator/provider/gpu.h"
#include "emulator/provider/runtime.h"
#include "emulator/provider/switches.h"

namespace tr0n::provider {

using namespace tr0n::cuda;

namespace {

struct GpuAllocator final : Allocator {
  GpuAllocator(int gpu_, const MemoryInfo* info_) : gpu(gpu_), info(info_) {
    Alloc = [](Allocator* self, size_t bytes) {
      return allocate(static_cast<GpuAllocator*>(self)->gpu, bytes);
    };
    Free = [](Allocator*, void* memory) { release(memory); };
    Info = [](const Allocator* self) { return static_cast<const GpuAllocator*>(self)->info; };
    Reserve = Alloc;
  }
  const int gpu;
  const MemoryInfo* const info;
};

/// The emulated GPU that a memory device is; -1: the host.
int gpu_of(const MemoryDevice* device) {
  const EpApi& ep = Runtime::get().ep;
  return ep.MemoryDevice_GetDeviceType(device) == static_cast<int>(DeviceType::gpu)
             ? static_cast<int>(ep.MemoryDevice_GetDeviceId(device))
             : -1;
}

bool ours(const MemoryDevice* device) {
  return gpu_of(device) >= 0 && Runtime::get().ep.MemoryDevice_GetVendorId(device) == kVendor;
}

/// Where copies of a planted mistake go: nobody waits for it.
struct Stray {
  std::mutex mutex;
  std::map<int, std::unique_ptr<OwnStream>> streams;
};
Stray& stray() {
  static auto* kept = new Stray;
  return *kept;
}
CUstream stray_stream(int gpu) {
  const std::lock_guard lock(stray().mutex);
  auto& stream = stray().streams[gpu];
  if (stream == nullptr) stream = std::make_unique<OwnStream>(gpu);
  return stream->handle();
}

void* handle_of(SyncStream* stream) {
  return stream != nullptr ? Runtime::get().api.SyncStream_GetHandle(stream) : nullptr;
}

struct GpuTransfer final : DataTransfer {
  GpuTransfer() {
    Release = [](DataTransfer* self) { delete static_cast<GpuTransfer*>(self); };
    CanCopy = [](const DataTransfer*, const MemoryDevice* from, const MemoryDevice* to) {
      return (ours(from) && (ours(to) || gpu_of(to) < 0)) || (ours(to) && gpu_of(from) < 0);
    };
    CopyTensors = [](DataTransfer*, const Value** from, Value** to, SyncStream** streams, size_t count) {
      return guarded([&] {
        for (size_t k = 0; k < count; ++k)
          copy(from[k], to[k], handle_of(streams != nullptr ? streams[k] : nullptr));
      });
    };
  }
};

}  // namespace

void close_stray_streams() {
  const std::lock_guard lock(stray().mutex);
  stray().streams.clear();
}

void copy(const Value* from, Value* to, void* stream) {
  const Runtime& runtime = Runtime::get();
  const int source = gpu_of(runtime.ep.Value_GetMemoryDevice(from)),
            target = gpu_of(runtime.ep.Value_GetMemoryDevice(to));
  const size_t bytes = describe(from).bytes;
  const void* read = nullptr;
  void* write = nullptr;
  check(runtime.api.GetTensorData(from, &read));
  check(runtime.api.GetTensorMutableData(to, &write));
  if (bytes == 0) return;
  const int gpu = target >= 0 ? target : source;
  if (read == nullptr || write == nullptr) refuse_memory(gpu, bytes);
  const Current current(gpu);
  auto handle = static_cast<CUstream>(stream);
  if (planted().stray_copies) handle = stray_stream(gpu);
  const auto device_from = reinterpret_cast<CUdeviceptr>(read),
             device_to = reinterpret_cast<CUdeviceptr>(write);
  if (handle == nullptr) {
    if (source >= 0 && target >= 0)
      driver(cuMemcpyDtoD_v2(device_to, device_from, bytes), "cuMemcpyDtoD");
    else if (target >= 0)
      driver(cuMemcpyHtoD_v2(device_to, read, bytes), "cuMemcpyHtoD");
    else
      driver(cuMemcpyDtoH_v2(write, device_from, bytes), "cuMemcpyDtoH");
    return;
  }
  if (source >= 0 && target >= 0)
    driver(cuMemcpyDtoDAsync_v2(device_to, device_from, bytes, handle), "cuMemcpyDtoDAsync");
  else if (target >= 0)
    driver(cuMemcpyHtoDAsync_v2(device_to, read, bytes, handle), "cuMemcpyHtoDAsync");
  else
    driver(cuMemcpyDtoHAsync_v2(write, device_from, bytes, handle), "cuMemcpyDtoHAsync");
  used_by(source >= 0 ? read : nullptr, handle);
  used_by(target >= 0 ? write : nullptr, handle);
}

Allocator* make_allocator(int gpu, const MemoryInfo* info) { return new GpuAllocator(gpu, info); }
void release_allocator(Allocator* allocator) { delete static_cast<GpuAllocator*>(allocator); }
DataTransfer* make_data_transfer() { return new GpuTransfer; }

}  // namespace tr0n::provider
