#pragma once
#include <memory>
#include <optional>
#include <string>

#include "cuda/kernels.h"
#include "cuda/queue.h"
#include "cuda/staging.h"
#include "device/device.h"

namespace tr0n::cuda {

/// A GPU. Everything it holds of the driver's goes back when it is destroyed: what lives on it must be gone
/// by then.
class CudaDevice final : public Device {
 public:
  /// Throws Error(ERR_DEVICE_UNAVAILABLE) that says what was tried and why it failed.
  explicit CudaDevice(int index);
  ~CudaDevice() override;
  CudaDevice(const CudaDevice&) = delete;
  CudaDevice& operator=(const CudaDevice&) = delete;

  const char* name() const override { return context_.name().c_str(); }
  const Kernels& kernels() const override { return parts_->kernels; }
  bool host_memory() const override { return false; }
  void* allocate(size_t bytes) override;
  void release(void* memory) noexcept override;
  void upload(void* to, const void* from, size_t bytes) override;
  void download(void* to, const void* from, size_t bytes) override;
  void synchronize() override;
  void* stream() const override { return parts_->queue.stream(); }
  void copy(void* to, const void* from, size_t bytes) override;
  std::unique_ptr<Recording> record(const std::function<void()>& calls) override;
  std::optional<Probe> probe() override;
  std::optional<DeviceMemory> memory() override;

  const Context& context() const { return context_; }
  const DeviceQueue& queue() const { return parts_->queue; }

 private:
  /// What is made and destroyed while the context is current.
  struct Parts {
    explicit Parts(const Context& context)
        : queue(context), staging(context, queue.stream()), kernels(make_kernels(queue)) {}
    DeviceQueue queue;
    Staging staging;
    const Kernels kernels;
  };
  /// Memory is neither made nor copied while kernel calls are recorded.
  void require_no_recording(const char* what) const;

  const Context context_;
  std::optional<Parts> parts_;
};

/// CudaDevice objects that live now, in the whole process.
int open_devices();

/// The device of this index: one object in a process for as long as somebody holds it. Throws as CudaDevice
/// does.
std::shared_ptr<CudaDevice> cuda_device(int index);

}  // namespace tr0n::cuda
