#pragma once
#include <cstdint>
#include <exception>
#include <string>
#include <vector>

#include "cuda/driver_api.h"

namespace tr0n::emulator {

/// What the emulator finds wrong with a program.
enum class Kind : uint8_t {
  out_of_bounds,  ///< access outside every allocation
  use_after_free,
  misaligned,
  uninitialised,      ///< read of memory that nobody wrote
  unfinished_copy,    ///< read of shared memory that a cp.async has not brought yet
  race,               ///< two threads, one of them writing, without a barrier in between
  divergent_barrier,  ///< a barrier or warp operation that not all of its threads reach
  double_free,
  leak,
  unknown_instruction,
  trap,  ///< trap or a failed assert
  timeout,
  invalid_call,  ///< the driver API used against its rules
};
const char* name_of(Kind kind);
/// The status a driver gives after a kernel did this.
cuda::CUresult status_of(Kind kind);

struct Violation {
  Kind kind;
  std::string kernel;  ///< or the driver function
  int line = 0;        ///< of the PTX text; 0 where there is none
  uint32_t block[3] = {0, 0, 0}, thread[3] = {0, 0, 0};
  bool in_kernel = false;
  std::string what;
};
std::string text_of(const Violation& violation);

/// Ends a launch.
struct Fault : std::exception {
  explicit Fault(cuda::CUresult status_) : status(status_) {}
  cuda::CUresult status;
};

/// Thread-safe; keeps the first hundred and counts all.
void report(Violation violation);
std::vector<Violation> violations();
uint64_t violation_count();
void reset_violations();

}  // namespace tr0n::emulator
