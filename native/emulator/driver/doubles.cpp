#include <cstring>

#include "emulator/driver/driver.h"
#include "emulator/driver/traffic.h"
#include "emulator/emulator.h"
#include "emulator/memory/device_memory.h"

// What stands in for a library that launches kernels of its own works with: a piece of work in a stream,
// which reads and writes device memory where the emulator keeps it.
namespace tr0n::cuda {
namespace {

using emulator::device_memory;

bool reachable(const char* name, CUdeviceptr pointer, size_t bytes) {
  if (device_memory().accessible(pointer, bytes)) return true;
  const bool freed = device_memory().find_freed(pointer) != nullptr;
  misuse(name, freed ? emulator::Kind::use_after_free : emulator::Kind::out_of_bounds,
         "touches " + std::to_string(bytes) + " bytes at " + device_memory().describe(pointer));
  return false;
}

}  // namespace
}  // namespace tr0n::cuda

using namespace tr0n::cuda;
namespace emulator = tr0n::emulator;

extern "C" {

int tr0n_emulator_enqueue(void* handle, const char* name, int (*run)(void*), void (*drop)(void*),
                          void* user) {
  // Dropped with the work, whether it ran or not, or at once where it is refused.
  const std::shared_ptr<void> argument(user, drop);
  return entry("tr0n_emulator_enqueue", Needs::context, [&] {
    const CUstream stream = stream_of(static_cast<CUstream>(handle));
    if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (forbidden_by_capture(stream)) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    return enqueue(stream, name, [run, argument] {
      const int status = run(argument.get());
      if (status != CUDA_SUCCESS) throw emulator::Fault(static_cast<CUresult>(status));
    });
  });
}

int tr0n_emulator_peek(void* to, uint64_t from, size_t bytes) {
  const std::lock_guard lock(driver().mutex);
  if (bytes == 0) return CUDA_SUCCESS;
  if (!reachable("tr0n_emulator_peek", from, bytes)) return CUDA_ERROR_ILLEGAL_ADDRESS;
  if (!emulator::device_memory().initialised(from, bytes))
    misuse("tr0n_emulator_peek", emulator::Kind::uninitialised,
           "reads what nobody wrote: " + emulator::device_memory().describe(from));
  std::memcpy(to, emulator::device_memory().data(from), bytes);
  traffic().peeked += bytes;
  return CUDA_SUCCESS;
}

int tr0n_emulator_poke(uint64_t to, const void* from, size_t bytes) {
  const std::lock_guard lock(driver().mutex);
  if (bytes == 0) return CUDA_SUCCESS;
  if (!reachable("tr0n_emulator_poke", to, bytes)) return CUDA_ERROR_ILLEGAL_ADDRESS;
  std::memcpy(emulator::device_memory().data(to), from, bytes);
  std::memset(emulator::device_memory().shadow(to), emulator::kWritten, bytes);
  traffic().poked += bytes;
  return CUDA_SUCCESS;
}

}  // extern "C"
