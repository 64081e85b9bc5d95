#include "cuda/device.h"

#include <map>
#include <mutex>

#include "cuda/recording.h"

namespace tr0n::cuda {

CudaDevice::CudaDevice(int index) : context_(index) {
  const Images embedded = images();
  if (embedded.count == 0)
    throw Error("ERR_DEVICE_UNAVAILABLE",
                context_.name() + ": this build has no CUDA kernels: " + embedded.origin);
  const Current current(context_);
  parts_.emplace(context_);
}

CudaDevice::~CudaDevice() {
  const Current current(context_, std::nothrow);
  parts_.reset();
}

void CudaDevice::require_no_recording(const char* what) const {
  if (Detour::of(parts_->queue) != nullptr)
    throw Error("ERR_INTERNAL", context_.name() + ": " + what + " while kernel calls are recorded");
}

void* CudaDevice::allocate(size_t bytes) {
  require_no_recording("memory is allocated");
  const Current current(context_);
  return parts_->queue.memory().allocate(bytes);
}

void CudaDevice::release(void* memory) noexcept {
  const Current current(context_, std::nothrow);
  parts_->queue.memory().release(memory);
}

void CudaDevice::upload(void* to, const void* from, size_t bytes) {
  require_no_recording("memory is copied");
  const Current current(context_);
  parts_->staging.upload(reinterpret_cast<CUdeviceptr>(to), from, bytes);
}

void CudaDevice::download(void* to, const void* from, size_t bytes) {
  require_no_recording("memory is copied");
  const Current current(context_);
  parts_->staging.download(to, reinterpret_cast<CUdeviceptr>(from), bytes, parts_->queue.running());
  parts_->queue.finished();
}

std::unique_ptr<Recording> CudaDevice::record(const std::function<void()>& calls) {
  require_no_recording("a recording begins");
  const Current current(context_);
  return cuda::record(context_, parts_->queue, calls);
}

std::shared_ptr<CudaDevice> cuda_device(int index) {
  static std::mutex mutex;
  static auto* devices = new std::map<int, std::weak_ptr<CudaDevice>>;
  const std::lock_guard lock(mutex);
  std::weak_ptr<CudaDevice>& known = (*devices)[index];
  std::shared_ptr<CudaDevice> device = known.lock();
  if (!device) known = device = std::make_shared<CudaDevice>(index);
  return device;
}

}  // namespace tr0n::cuda
