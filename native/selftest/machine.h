#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "device/device.h"

namespace tr0n::cuda {
class CudaDevice;
}

namespace tr0n::selftest {

/// What one call must move and compute at least.
struct Work {
  double bytes = 0, flops = 0;
  bool tensor = false;  ///< TF32 products, for tensor cores where the device has them
};

struct Timing {
  double seconds;  ///< of one call
  double bytes_per_second, flops_per_second;
  double share;  ///< of the limit that is nearer; data that stays in a cache can take it above 1. 0: unknown
};

/// The device under test, and whether it is a GPU or the emulator.
class Machine {
 public:
  /// Throws Error(ERR_DEVICE_UNAVAILABLE) that says what was tried and why it failed.
  explicit Machine(int index);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  Device& device();
  bool real() const { return violations_ == nullptr; }
  std::string description() const { return description_; }

  /// What the emulator has found wrong since the last call, as JSON; empty where nothing, and on a GPU.
  std::string violations();
  /// Frees the device; allocations that are still there after it. 0 on a GPU, where nobody counts.
  size_t leaks();

  /// Null on the emulator: its time means nothing.
  std::optional<Timing> time(const Work& work, const std::function<void()>& calls);

 private:
  double share_of_limit(const Work& work, double seconds) const;

  std::shared_ptr<cuda::CudaDevice> device_;
  std::string description_;
  double bandwidth_ = 0, single_ = 0, tensor_ = 0;  ///< bytes/s, FLOP/s; 0: unknown
  // The emulator's own functions (emulator/emulator.h).
  uint64_t (*violations_)() = nullptr;
  uint64_t (*leaks_)() = nullptr;
  const char* (*report_)() = nullptr;
  void (*reset_)() = nullptr;
};

}  // namespace tr0n::selftest
