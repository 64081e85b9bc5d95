#pragma once
#include <string>
#include <string_view>

#include "cuda/driver_api.h"

namespace tr0n::cuda {

/// The driver's functions by their symbols. Those that are not needed() may be null.
struct DriverApi {
#define TR0N_CUDA_FUNCTION(name, parameters) name##_t name = nullptr;
  TR0N_CUDA_FUNCTIONS(TR0N_CUDA_FUNCTION)
#undef TR0N_CUDA_FUNCTION
};

constexpr int kOldestDriver = 11000;  ///< the first that compiles PTX 7.0 for sm_80

/// Whether a driver is refused that lacks this function: it is called without a look whether it is there.
bool needed(std::string_view function);

/// What became of opening the driver's library.
struct Library {
  bool usable = false;
  std::string path;       ///< what was opened, or tried
  std::string problem;    ///< why it is not usable: what was tried, and what came of it
  int version = 0;        ///< 1000·major + 10·minor; 0 where unknown
  bool emulated = false;  ///< the emulator of native/emulator
  DriverApi api;
};

/// libcuda.so.1, or what TR0N_CUDA_DRIVER names, opened at the first call and never closed. What became of it
/// is remembered. Never throws.
const Library& library();
/// As library(), but throws Error(ERR_DEVICE_UNAVAILABLE) where it is not usable.
const DriverApi& driver_api();

/// Puts a table of functions in the place of the library, which is not opened then. For tests, before all
/// else.
void inject(const DriverApi& api);

/// 13000 → "13.0"
std::string version_text(int version);

}  // namespace tr0n::cuda
