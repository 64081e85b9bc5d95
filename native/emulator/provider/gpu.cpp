#include "emulator/provider/gpu.h"

#include <map>
#include <memory>
#include <mutex>

#include "emulator/provider/runtime.h"

namespace tr0n::provider {

using namespace tr0n::cuda;

namespace {

struct Block {
  std::unique_ptr<Held> context;
  CUstream stream = nullptr;  ///< that used it last
};
std::mutex blocks_mutex;
std::map<CUdeviceptr, Block>& blocks() {
  static auto* live = new std::map<CUdeviceptr, Block>;
  return *live;
}

}  // namespace

void driver(CUresult status, const char* call) {
  if (status == CUDA_SUCCESS) return;
  const char* text = nullptr;
  cuGetErrorString(status, &text);
  // In the words of ONNX Runtime's CUDA provider.
  throw Failure("CUDA failure " + std::to_string(static_cast<int>(status)) + ": " +
                (text != nullptr ? text : "unknown") + " ; expr=" + call);
}

int gpu_count() {
  int count = 0;
  return cuInit(0) == CUDA_SUCCESS && cuDeviceGetCount(&count) == CUDA_SUCCESS ? count : 0;
}

Held::Held(int index) : gpu(index) {
  CUcontext context = nullptr;
  driver(cuInit(0), "cuInit");
  driver(cuDevicePrimaryCtxRetain(&context, gpu), "cuDevicePrimaryCtxRetain");
}
Held::~Held() { cuDevicePrimaryCtxRelease_v2(gpu); }

Current::Current(int index) : gpu_(index) {
  CUcontext context = nullptr;
  driver(cuInit(0), "cuInit");
  driver(cuDevicePrimaryCtxRetain(&context, gpu_), "cuDevicePrimaryCtxRetain");
  cuCtxPushCurrent_v2(context);
}
Current::~Current() {
  CUcontext popped = nullptr;
  cuCtxPopCurrent_v2(&popped);
  cuDevicePrimaryCtxRelease_v2(gpu_);
}

OwnStream::OwnStream(int gpu) : held_(gpu) {
  const Current current(gpu);
  driver(cuStreamCreate(&handle_, CU_STREAM_NON_BLOCKING), "cuStreamCreate");
}
OwnStream::~OwnStream() {
  const Current current(held_.gpu);
  cuStreamDestroy_v2(handle_);
}

void* allocate(int gpu, size_t bytes) noexcept {
  if (bytes == 0) return nullptr;
  try {
    Block block{std::make_unique<Held>(gpu)};
    const Current current(gpu);
    CUdeviceptr pointer = 0;
    if (cuMemAlloc_v2(&pointer, bytes) != CUDA_SUCCESS) return nullptr;
    const std::lock_guard lock(blocks_mutex);
    blocks()[pointer] = std::move(block);
    return reinterpret_cast<void*>(pointer);
  } catch (...) {
    return nullptr;
  }
}

void refuse_memory(int gpu, size_t bytes) {
  const Current current(gpu);
  size_t available = 0, total = 0;
  driver(cuMemGetInfo_v2(&available, &total), "cuMemAlloc");
  throw Failure("Failed to allocate memory for " + std::to_string(bytes) + " bytes");
}

void release(void* memory) noexcept {
  Block block;
  {
    const std::lock_guard lock(blocks_mutex);
    const auto found = blocks().find(reinterpret_cast<CUdeviceptr>(memory));
    if (found == blocks().end()) return;
    block = std::move(found->second);
    blocks().erase(found);
  }
  try {
    const Current current(block.context->gpu);
    const auto pointer = reinterpret_cast<CUdeviceptr>(memory);
    // The stream may be gone: then all that it did is done.
    if (block.stream == nullptr || cuMemFreeAsync(pointer, block.stream) != CUDA_SUCCESS)
      cuMemFree_v2(pointer);
  } catch (...) {
    // A device that failed: its context's end takes all.
  }
}

void used_by(const void* memory, CUstream stream) {
  const std::lock_guard lock(blocks_mutex);
  const auto found = blocks().find(reinterpret_cast<CUdeviceptr>(memory));
  if (found != blocks().end()) found->second.stream = stream;
}

}  // namespace tr0n::provider
