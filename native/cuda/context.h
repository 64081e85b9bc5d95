#pragma once
#include <mutex>
#include <new>
#include <string>

#include "cuda/errors.h"

namespace tr0n::cuda {

/// Calls a driver function of the context's table and throws what check() makes of its status.
#define TR0N_CUDA(context, function, ...) (context).check((context).api().function(__VA_ARGS__), #function)

constexpr int kOldestArchitecture = 75;  ///< the lowest compute capability that kernels are compiled for
std::string capability_text(int compute_capability);  ///< 89 → "8.9"
/// "expected compute capability 7.5 or above, got 7.0"
std::string too_old(int compute_capability);

/// A device's primary context, retained: ONNX Runtime and libtorch use the same one. Immutable but for
/// whether the device was lost.
class Context {
 public:
  /// Throws Error(ERR_DEVICE_UNAVAILABLE) that says what was tried and why it failed.
  explicit Context(int index);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const DriverApi& api() const { return api_; }
  const std::string& name() const { return name_; }  ///< "cuda:0"
  CUdevice device() const { return device_; }
  CUcontext handle() const { return handle_; }
  int compute_capability() const { return compute_capability_; }  ///< 89 for 8.9
  int attribute(CUdevice_attribute attribute) const;              ///< throws

  /// Throws for every status but success. After a status that a context does not recover from, and for all
  /// calls after it, the error is ERR_DEVICE_LOST or, the first time and where a kernel did it,
  /// ERR_KERNEL_FAILED.
  void check(CUresult status, const char* call, const std::string& detail = {}) const;
  bool lost() const;
  /// Throws ERR_DEVICE_LOST where it is.
  void require_usable() const;

 private:
  const DriverApi& api_;
  std::string name_;
  CUdevice device_ = 0;
  CUcontext handle_ = nullptr;
  int compute_capability_ = 0;
  mutable std::mutex mutex_;
  mutable std::string loss_;  ///< the error that came with the loss
};

/// Makes a context the calling thread's for as long as this lives. Its end never fails; what cannot be undone
/// then is a context that stays current, which harms nobody.
class Current {
 public:
  explicit Current(const Context& context);  ///< throws, where the device was lost, too
  /// For releasing: does what it can, also for a device that was lost.
  Current(const Context& context, std::nothrow_t) noexcept;
  ~Current();
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;

 private:
  const Context& context_;
  bool pushed_ = true;
};

}  // namespace tr0n::cuda
