#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "device/kernels.h"

namespace tr0n {

/// Kernel calls that a device makes again with less overhead than calling them one by one.
class Recording {
 public:
  virtual ~Recording() = default;
  /// The same kernels with the same pointers and scalars, on what the memory holds now.
  virtual void replay() = 0;
};

/// What a device was found to do.
struct Probe {
  std::map<std::string, std::string> images;  ///< what was loaded, by file: "sm_89", "compute_80 (PTX)"
  size_t kernels = 0;                         ///< that were found in them
};

/// Bytes of a device's memory.
struct DeviceMemory {
  uint64_t free = 0;  ///< that nobody has now, other processes included
  uint64_t total = 0;
};

/// A place that has memory and an implementation of device/kernels.h. Core code reaches a device only through
/// this.
class Device {
 public:
  virtual ~Device() = default;
  virtual const char* name() const = 0;  ///< "cpu", "cuda:0"
  virtual const Kernels& kernels() const = 0;

  /// Whether the host reads and writes this device's memory in place.
  virtual bool host_memory() const = 0;
  /// Memory aligned to 64 bytes; throws Error(ERR_OUT_OF_MEMORY). device/buffer.h owns it.
  virtual void* allocate(size_t bytes) = 0;
  virtual void release(void* memory) noexcept = 0;
  /// Host to device, after the kernels called so far; `from` may be changed as soon as this returns.
  virtual void upload(void* to, const void* from, size_t bytes) = 0;
  /// Device to host; waits for the kernels called so far.
  virtual void download(void* to, const void* from, size_t bytes) = 0;
  /// Waits for the kernels called so far, and throws what went wrong with them.
  virtual void synchronize() {}
  /// The native handle of the queue that kernels run in the order of, for other libraries that work on this
  /// device's memory: a CUstream. Null where kernels have finished when their call returns.
  virtual void* stream() const { return nullptr; }

  /// From one place of the device's memory to another, after the kernels called so far; they do not overlap.
  virtual void copy(void* to, const void* from, size_t bytes) = 0;

  /// Records the kernel calls that `calls` makes without executing them; it makes no others, and neither
  /// allocates nor copies. Null where the device does not offer it: the caller then calls them itself.
  virtual std::unique_ptr<Recording> record(const std::function<void()>& calls) {
    static_cast<void>(calls);
    return nullptr;
  }

  /// Loads every kernel of this build, runs the smallest one and checks its numbers. Throws what goes wrong,
  /// ERR_KERNEL_FAILED where the numbers are not right. Nothing where there is nothing to load.
  virtual std::optional<Probe> probe() { return std::nullopt; }

  /// Of memory of its own, as the driver tells it; nothing where that is the host's.
  virtual std::optional<DeviceMemory> memory() { return std::nullopt; }
};

/// The CPU, always there. Defined in cpu/.
Device& cpu_device();

}  // namespace tr0n
