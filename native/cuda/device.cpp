#include "cuda/device.h"

#include <atomic>
#include <map>
#include <mutex>
#include <vector>

#include "cuda/entries.h"
#include "cuda/recording.h"
#include "device/buffer.h"

namespace tr0n::cuda {
namespace {

std::atomic<int> open_count{0};

}  // namespace

int open_devices() { return open_count.load(); }

CudaDevice::CudaDevice(int index) : context_(index) {
  const Images embedded = images();
  if (embedded.count == 0)
    throw Error("ERR_DEVICE_UNAVAILABLE",
                context_.name() + ": this build has no CUDA kernels: " + embedded.origin);
  const Current current(context_);
  parts_.emplace(context_);
  open_count.fetch_add(1);
}

CudaDevice::~CudaDevice() {
  const Current current(context_, std::nothrow);
  // What kernels and copies still use is not let go under them.
  context_.api().cuStreamSynchronize(parts_->queue.stream());
  parts_.reset();
  open_count.fetch_sub(1);
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

void CudaDevice::synchronize() {
  require_no_recording("kernels are awaited");
  const Current current(context_);
  context_.check(context_.api().cuStreamSynchronize(parts_->queue.stream()), "cuStreamSynchronize",
                 parts_->queue.running());
  parts_->queue.finished();
}

void CudaDevice::copy(void* to, const void* from, size_t bytes) {
  if (bytes == 0) return;
  require_no_recording("memory is copied");
  const Current current(context_);
  TR0N_CUDA(context_, cuMemcpyDtoDAsync_v2, reinterpret_cast<CUdeviceptr>(to),
            reinterpret_cast<CUdeviceptr>(from), bytes, parts_->queue.stream());
}

std::unique_ptr<Recording> CudaDevice::record(const std::function<void()>& calls) {
  require_no_recording("a recording begins");
  const Current current(context_);
  return cuda::record(context_, parts_->queue, calls);
}

std::optional<Probe> CudaDevice::probe() {
  Probe result;
  for (const auto& [name, entry] : entries()) {
    parts_->queue.load(name.c_str());
    ++result.kernels;
  }
  result.images = parts_->queue.loaded();
  constexpr unsigned count = 1000;
  std::vector<float> values(count), found(count);
  for (unsigned i = 0; i < count; ++i) values[i] = static_cast<float>(i);
  Buffer<float> in(*this, count), out(*this, count);
  in.upload(values.data(), count);
  parts_->queue.launch({"tr0n_probe", {(count + 127) / 128}, {128}}, out.data(),
                       static_cast<const float*>(in.data()), 3.0f, count);
  out.download(found.data(), count);
  for (unsigned i = 0; i < count; ++i) {
    const float expected = 3 * values[i] + values[i ^ 1];
    if (found[i] != expected)
      throw Error("ERR_KERNEL_FAILED", context_.name() + ": kernel tr0n_probe computed " +
                                           std::to_string(found[i]) + " where " + std::to_string(expected) +
                                           " was expected");
  }
  return result;
}

std::optional<DeviceMemory> CudaDevice::memory() {
  const Current current(context_);
  size_t free = 0, total = 0;
  TR0N_CUDA(context_, cuMemGetInfo_v2, &free, &total);
  return DeviceMemory{free, total};
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
