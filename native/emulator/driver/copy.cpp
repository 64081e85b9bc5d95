#include <algorithm>
#include <cstring>

#include "emulator/driver/driver.h"
#include "emulator/driver/traffic.h"
#include "emulator/memory/device_memory.h"
#include "emulator/memory/host_memory.h"

namespace tr0n::cuda {
namespace {

using emulator::device_memory;

/// Device memory, or page-locked memory by its host address.
bool reachable(const char* name, CUdeviceptr pointer, size_t bytes) {
  if (device_memory().accessible(pointer, bytes) || emulator::host_memory().find(pointer, bytes) != nullptr)
    return true;
  const bool freed = device_memory().find_freed(pointer) != nullptr;
  misuse(name, freed ? emulator::Kind::use_after_free : emulator::Kind::out_of_bounds,
         "copies " + std::to_string(bytes) + " bytes at " + device_memory().describe(pointer));
  return false;
}

std::byte* place(CUdeviceptr pointer, size_t bytes) {
  return device_memory().in_range(pointer, bytes) ? device_memory().data(pointer)
                                                  : reinterpret_cast<std::byte*>(pointer);
}

void store(CUdeviceptr to, const void* from, size_t bytes) {
  if (device_memory().in_range(to, bytes)) traffic().to_device += bytes;
  std::memcpy(place(to, bytes), from, bytes);
  if (device_memory().in_range(to, bytes)) std::memset(device_memory().shadow(to), emulator::kWritten, bytes);
}

void fetch(const char* name, void* to, CUdeviceptr from, size_t bytes) {
  if (device_memory().in_range(from, bytes)) traffic().to_host += bytes;
  std::memcpy(to, place(from, bytes), bytes);
  if (!device_memory().in_range(from, bytes) || device_memory().initialised(from, bytes)) return;
  const uint8_t* shadow = device_memory().shadow(from);
  const size_t first = static_cast<size_t>(
      std::find_if(shadow, shadow + bytes, [](uint8_t s) { return s != emulator::kWritten; }) - shadow);
  misuse(name, emulator::Kind::uninitialised,
         "copies to the host what nobody wrote: " + device_memory().describe(from + first));
}

void copy(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  const bool into = device_memory().in_range(to, bytes), out_of = device_memory().in_range(from, bytes);
  if (into && !out_of) traffic().to_device += bytes;
  if (out_of && !into) traffic().to_host += bytes;
  if (into && out_of) traffic().within_device += bytes;
  std::memmove(place(to, bytes), place(from, bytes), bytes);
  if (!device_memory().in_range(to, bytes)) return;
  // What was not written stays so.
  if (device_memory().in_range(from, bytes))
    std::memmove(device_memory().shadow(to), device_memory().shadow(from), bytes);
  else
    std::memset(device_memory().shadow(to), emulator::kWritten, bytes);
}

/// Faults of copies in a queue are like those of kernels.
void still_reachable(const char* name, CUdeviceptr pointer, size_t bytes) {
  if (!reachable(name, pointer, bytes)) throw emulator::Fault(CUDA_ERROR_ILLEGAL_ADDRESS);
}

bool pinned(const void* pointer, size_t bytes) {
  return emulator::host_memory().find(reinterpret_cast<uintptr_t>(pointer), bytes) != nullptr;
}

CUresult upload(const char* name, CUdeviceptr to, const void* from, size_t bytes, CUstream handle) {
  const CUstream stream = stream_of(handle);
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (from == nullptr && bytes > 0) return CUDA_ERROR_INVALID_VALUE;
  if (!reachable(name, to, bytes)) return CUDA_ERROR_INVALID_VALUE;
  if (bytes == 0) return CUDA_SUCCESS;
  if (pinned(from, bytes)) {
    return enqueue(stream, name, [=] {
      still_reachable(name, to, bytes);
      store(to, from, bytes);
    });
  }
  // From ordinary memory the driver takes its own copy before it returns; a graph reads at every launch.
  if (stream->capture) {
    return enqueue(stream, name, [=] {
      still_reachable(name, to, bytes);
      store(to, from, bytes);
    });
  }
  const auto* first = static_cast<const std::byte*>(from);
  auto staged = std::make_shared<std::vector<std::byte>>(first, first + bytes);
  return enqueue(stream, name, [=] {
    still_reachable(name, to, bytes);
    store(to, staged->data(), bytes);
  });
}

CUresult download(const char* name, void* to, CUdeviceptr from, size_t bytes, CUstream handle) {
  const CUstream stream = stream_of(handle);
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (to == nullptr && bytes > 0) return CUDA_ERROR_INVALID_VALUE;
  if (!reachable(name, from, bytes)) return CUDA_ERROR_INVALID_VALUE;
  if (bytes == 0) return CUDA_SUCCESS;
  const CUresult status = enqueue(stream, name, [=] {
    still_reachable(name, from, bytes);
    fetch(name, to, from, bytes);
  });
  if (status != CUDA_SUCCESS || stream->capture || pinned(to, bytes)) return status;
  run_until(stream->timeline, stream->last);  // into ordinary memory it has ended when it returns
  return stream->context->status;
}

CUresult move(const char* name, CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream handle) {
  const CUstream stream = stream_of(handle);
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (!reachable(name, to, bytes) || !reachable(name, from, bytes)) return CUDA_ERROR_INVALID_VALUE;
  if (bytes == 0) return CUDA_SUCCESS;
  return enqueue(stream, name, [=] {
    still_reachable(name, to, bytes);
    still_reachable(name, from, bytes);
    copy(to, from, bytes);
  });
}

template <class T>
CUresult fill(const char* name, CUdeviceptr to, T value, size_t count, CUstream handle) {
  const CUstream stream = stream_of(handle);
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  const size_t bytes = count * sizeof(T);
  if (to % sizeof(T) != 0 || count > SIZE_MAX / sizeof(T) || !reachable(name, to, bytes))
    return CUDA_ERROR_INVALID_VALUE;
  if (count == 0) return CUDA_SUCCESS;
  return enqueue(stream, name, [=] {
    still_reachable(name, to, bytes);
    std::fill_n(reinterpret_cast<T*>(place(to, bytes)), count, value);
    if (device_memory().in_range(to, bytes))
      std::memset(device_memory().shadow(to), emulator::kWritten, bytes);
  });
}

/// The synchronous forms: in the default stream, which streams that do not block do not wait for, and done
/// when they return.
CUresult awaited(CUresult status) {
  if (status != CUDA_SUCCESS) return status;
  const CUstream stream = stream_of(nullptr);
  run_until(stream->timeline, stream->last);
  return current_context()->status;
}

}  // namespace

extern "C" {

CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void* from, size_t bytes) {
  return entry("cuMemcpyHtoD_v2", Needs::context, [&] {
    if (forbidden_by_capture()) return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    return awaited(upload("cuMemcpyHtoD", to, from, bytes, nullptr));
  });
}
CUresult cuMemcpyDtoH_v2(void* to, CUdeviceptr from, size_t bytes) {
  return entry("cuMemcpyDtoH_v2", Needs::context, [&] {
    if (forbidden_by_capture()) return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    return awaited(download("cuMemcpyDtoH", to, from, bytes, nullptr));
  });
}
CUresult cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return entry("cuMemcpyDtoD_v2", Needs::context, [&] {
    if (forbidden_by_capture()) return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    return awaited(move("cuMemcpyDtoD", to, from, bytes, nullptr));
  });
}
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, size_t bytes, CUstream stream) {
  return entry("cuMemcpyHtoDAsync_v2", Needs::context,
               [&] { return upload("cuMemcpyHtoDAsync", to, from, bytes, stream); });
}
CUresult cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return entry("cuMemcpyDtoHAsync_v2", Needs::context,
               [&] { return download("cuMemcpyDtoHAsync", to, from, bytes, stream); });
}
CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return entry("cuMemcpyDtoDAsync_v2", Needs::context,
               [&] { return move("cuMemcpyDtoDAsync", to, from, bytes, stream); });
}
CUresult cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t count) {
  return entry("cuMemsetD8_v2", Needs::context,
               [&] { return awaited(fill<unsigned char>("cuMemsetD8", to, value, count, nullptr)); });
}
CUresult cuMemsetD32_v2(CUdeviceptr to, unsigned value, size_t count) {
  return entry("cuMemsetD32_v2", Needs::context,
               [&] { return awaited(fill<unsigned>("cuMemsetD32", to, value, count, nullptr)); });
}
CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream) {
  return entry("cuMemsetD8Async", Needs::context,
               [&] { return fill<unsigned char>("cuMemsetD8Async", to, value, count, stream); });
}
CUresult cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream stream) {
  return entry("cuMemsetD32Async", Needs::context,
               [&] { return fill<unsigned>("cuMemsetD32Async", to, value, count, stream); });
}

}  // extern "C"
}  // namespace tr0n::cuda
