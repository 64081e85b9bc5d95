#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace tr0n::cuda {

/// What a driver says of a GPU.
struct DeviceSummary {
  int index = 0;
  std::string name;
  uint64_t memory = 0;  ///< bytes
  int compute_capability = 0;
  int multiprocessors = 0;
  std::string problem;  ///< why it cannot be used; empty where it can
};

struct Inventory {
  std::string driver;   ///< the library's path
  std::string problem;  ///< why no device of it can be used; empty where there are devices
  int version = 0;      ///< 13000 for CUDA 13.0; 0 where unknown
  bool emulated = false;
  std::vector<DeviceSummary> devices;
};

/// Looks without opening a context. Never throws.
Inventory inventory();

/// The device that a name stands for: "cpu", "cuda:N", "cuda" (the first that can be used) or "auto" (that,
/// or else "cpu"; an emulated device is never chosen by itself). Throws ERR_DEVICE_UNAVAILABLE that says what
/// was tried and why it does not do, ERR_INVALID_ARGUMENT for another name.
std::string resolve_device(const std::string& name);

}  // namespace tr0n::cuda
