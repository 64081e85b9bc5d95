#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "emulator/config.h"
#include "emulator/driver/driver.h"
#include "emulator/driver/limits.h"
#include "emulator/memory/device_memory.h"
#include "emulator/memory/host_memory.h"

namespace tr0n::cuda {
namespace {

CUresult allocate(const char* name, CUdeviceptr* pointer, size_t bytes) {
  if (pointer == nullptr || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  const int device = current_context()->device;
  *pointer = emulator::device_memory().allocate(bytes, device, name);
  if (*pointer == 0) {
    // Frees that streams have not come to yet may make room.
    run_all();
    *pointer = emulator::device_memory().allocate(bytes, device, name);
  }
  return *pointer == 0 ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
}

CUresult release(const char* name, CUdeviceptr pointer) {
  switch (emulator::device_memory().release(pointer)) {
    case emulator::DeviceMemory::Freed::yes:
      return CUDA_SUCCESS;
    case emulator::DeviceMemory::Freed::already_freed:
      misuse(name, emulator::Kind::double_free, emulator::device_memory().describe(pointer));
      break;
    case emulator::DeviceMemory::Freed::never_allocated:
      misuse(name, emulator::Kind::invalid_call,
             "frees what was not allocated: " + emulator::device_memory().describe(pointer));
      break;
  }
  return CUDA_ERROR_INVALID_VALUE;
}

CUresult allocate_in_stream(const char* name, CUdeviceptr* pointer, size_t bytes, CUstream handle) {
  const CUstream stream = stream_of(handle);
  if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  // Graphs that own memory are not emulated.
  if (forbidden_by_capture(stream)) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  return allocate(name, pointer, bytes);
}

}  // namespace

extern "C" {

CUresult cuMemGetInfo_v2(size_t* free_bytes, size_t* total) {
  return entry("cuMemGetInfo_v2", Needs::context, [&] {
    if (free_bytes == nullptr || total == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *total = emulator::config().memory;
    *free_bytes = *total - emulator::device_memory().used(current_context()->device);
    return CUDA_SUCCESS;
  });
}

CUresult cuMemAlloc_v2(CUdeviceptr* pointer, size_t bytes) {
  return entry("cuMemAlloc_v2", Needs::context, [&] {
    if (forbidden_by_capture()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    return allocate("cuMemAlloc", pointer, bytes);
  });
}

CUresult cuMemFree_v2(CUdeviceptr pointer) {
  return entry("cuMemFree_v2", Needs::context, [&] {
    if (forbidden_by_capture()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    run_all();
    if (current_context()->status != CUDA_SUCCESS) return current_context()->status;
    return pointer == 0 ? CUDA_SUCCESS : release("cuMemFree", pointer);
  });
}

CUresult cuMemAllocAsync(CUdeviceptr* pointer, size_t bytes, CUstream stream) {
  return entry("cuMemAllocAsync", Needs::context,
               [&] { return allocate_in_stream("cuMemAllocAsync", pointer, bytes, stream); });
}

CUresult cuMemAllocFromPoolAsync(CUdeviceptr* pointer, size_t bytes, CUmemoryPool pool, CUstream stream) {
  return entry("cuMemAllocFromPoolAsync", Needs::context, [&] {
    if (pool == nullptr) return CUDA_ERROR_INVALID_VALUE;
    return allocate_in_stream("cuMemAllocFromPoolAsync", pointer, bytes, stream);
  });
}

CUresult cuMemFreeAsync(CUdeviceptr pointer, CUstream handle) {
  return entry("cuMemFreeAsync", Needs::context, [&] {
    const CUstream stream = stream_of(handle);
    if (stream == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (forbidden_by_capture(stream)) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (emulator::device_memory().find(pointer) == nullptr) return release("cuMemFreeAsync", pointer);
    return enqueue(stream, "cuMemFreeAsync", [=] { release("cuMemFreeAsync", pointer); });
  });
}

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool* pool, CUdevice device) {
  return entry("cuDeviceGetDefaultMemPool", Needs::initialised, [&] {
    if (pool == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (!is_device(device)) return CUDA_ERROR_INVALID_DEVICE;
    const auto found = driver().contexts.find(device);
    static CUmemPoolHandle_st before_any_context;
    *pool = found == driver().contexts.end() ? &before_any_context : &found->second->pool;
    return CUDA_SUCCESS;
  });
}

CUresult cuMemPoolSetAttribute(CUmemoryPool pool, CUmemPool_attribute attribute, void* value) {
  return entry("cuMemPoolSetAttribute", Needs::initialised, [&] {
    if (pool == nullptr || value == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (attribute == CU_MEMPOOL_ATTR_RELEASE_THRESHOLD) std::memcpy(&pool->release_threshold, value, 8);
    return CUDA_SUCCESS;
  });
}

CUresult cuMemPoolGetAttribute(CUmemoryPool pool, CUmemPool_attribute attribute, void* value) {
  return entry("cuMemPoolGetAttribute", Needs::initialised, [&] {
    if (pool == nullptr || value == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const uint64_t used = emulator::device_memory().used(pool->device);
    const uint64_t number = attribute == CU_MEMPOOL_ATTR_RELEASE_THRESHOLD ? pool->release_threshold : used;
    std::memcpy(value, &number, 8);
    return CUDA_SUCCESS;
  });
}

CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t) {
  return entry("cuMemPoolTrimTo", Needs::initialised,
               [&] { return pool == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS; });
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr* base, size_t* bytes, CUdeviceptr pointer) {
  return entry("cuMemGetAddressRange_v2", Needs::context, [&] {
    const emulator::Allocation* found = emulator::device_memory().find(pointer);
    if (found == nullptr) return CUDA_ERROR_NOT_FOUND;
    if (base != nullptr) *base = found->address;
    if (bytes != nullptr) *bytes = found->bytes;
    return CUDA_SUCCESS;
  });
}

CUresult cuMemHostAlloc(void** pointer, size_t bytes, unsigned) {
  return entry("cuMemHostAlloc", Needs::context, [&] {
    if (pointer == nullptr || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
    if (forbidden_by_capture()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    *pointer = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    if (*pointer == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
    emulator::host_memory().add(*pointer, bytes, true, current_context()->device);
    return CUDA_SUCCESS;
  });
}

CUresult cuMemFreeHost(void* pointer) {
  return entry("cuMemFreeHost", Needs::context, [&] {
    run_all();
    if (!emulator::host_memory().remove(pointer, true)) {
      misuse("cuMemFreeHost", emulator::Kind::double_free,
             "frees host memory that is not, or no longer, allocated");
      return CUDA_ERROR_INVALID_VALUE;
    }
    std::free(pointer);
    return CUDA_SUCCESS;
  });
}

CUresult cuMemHostRegister_v2(void* pointer, size_t bytes, unsigned) {
  return entry("cuMemHostRegister_v2", Needs::context, [&] {
    if (pointer == nullptr || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
    if (emulator::host_memory().find(reinterpret_cast<uintptr_t>(pointer), 1) != nullptr)
      return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
    emulator::host_memory().add(pointer, bytes, false, current_context()->device);
    return CUDA_SUCCESS;
  });
}

CUresult cuMemHostUnregister(void* pointer) {
  return entry("cuMemHostUnregister", Needs::context, [&] {
    run_all();
    return emulator::host_memory().remove(pointer, false) ? CUDA_SUCCESS
                                                          : CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
  });
}

CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr* pointer, void* host, unsigned) {
  return entry("cuMemHostGetDevicePointer_v2", Needs::context, [&] {
    if (pointer == nullptr || emulator::host_memory().find(reinterpret_cast<uintptr_t>(host), 1) == nullptr)
      return CUDA_ERROR_INVALID_VALUE;
    *pointer = reinterpret_cast<uintptr_t>(host);
    return CUDA_SUCCESS;
  });
}

}  // extern "C"
}  // namespace tr0n::cuda
