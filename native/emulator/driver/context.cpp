#include <algorithm>
#include <cstdlib>

#include "emulator/driver/driver.h"
#include "emulator/driver/limits.h"
#include "emulator/memory/device_memory.h"
#include "emulator/memory/host_memory.h"

namespace tr0n::cuda {
namespace {

thread_local std::vector<CUcontext> stack;

CUcontext context_of(CUdevice device) {
  auto& context = driver().contexts[device];
  if (!context) {
    context = std::make_unique<CUctx_st>();
    context->device = device;
    context->default_stream.context = context.get();
    context->default_stream.timeline = std::make_shared<Timeline>(context.get());
    context->pool.device = device;
  }
  return context.get();
}

/// The end of a context: what was not given back is reported, unless its device had failed and nothing could
/// be.
void end(CUcontext context) {
  Driver& d = driver();
  run_all();
  const bool failed = context->status != CUDA_SUCCESS;
  std::vector<uint64_t> left;
  for (const auto& [address, allocation] : emulator::device_memory().live()) {
    if (allocation.device == context->device && !allocation.owned) left.push_back(address);
  }
  for (const uint64_t address : left) {
    if (!failed)
      misuse("the end of the context", emulator::Kind::leak,
             "never freed: " + emulator::device_memory().describe(address));
    emulator::device_memory().release(address);
  }
  std::vector<std::pair<void*, emulator::HostMemory::Range>> pages;
  for (const auto& [address, range] : emulator::host_memory().ranges()) {
    if (range.device == context->device) pages.emplace_back(reinterpret_cast<void*>(address), range);
  }
  for (const auto& [pointer, range] : pages) {
    emulator::host_memory().remove(pointer, range.allocated);
    if (!range.allocated) continue;
    if (!failed)
      misuse("the end of the context", emulator::Kind::leak,
             "never freed: " + std::to_string(range.bytes) + " bytes of cuMemHostAlloc");
    std::free(pointer);
  }
  const auto drop = [&](auto& set, const char* what) {
    for (auto it = set.begin(); it != set.end();) {
      if ((*it)->context != context) {
        ++it;
        continue;
      }
      if (!failed)
        misuse("the end of the context", emulator::Kind::leak, std::string("never destroyed: a ") + what);
      delete *it;
      it = set.erase(it);
    }
  };
  drop(d.streams, "stream");
  drop(d.events, "event");
  drop(d.executables, "graph executable");
  for (auto it = d.modules.begin(); it != d.modules.end();) {
    if ((*it)->context != context) {
      ++it;
      continue;
    }
    for (const auto& [name, function] : (*it)->functions) d.functions.erase(function.get());
    emulator::unload_module(*(*it)->module);
    delete *it;
    it = d.modules.erase(it);
  }
  context->status = CUDA_SUCCESS;
  context->default_stream = CUstream_st{};
  context->default_stream.context = context;
  context->default_stream.timeline = std::make_shared<Timeline>(context);
}

}  // namespace

CUcontext current_context() { return stack.empty() ? nullptr : stack.back(); }

extern "C" {

CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  return entry("cuDevicePrimaryCtxRetain", Needs::initialised, [&] {
    if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (!is_device(device)) return CUDA_ERROR_INVALID_DEVICE;
    *context = context_of(device);
    ++(*context)->retains;
    return CUDA_SUCCESS;
  });
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  return entry("cuDevicePrimaryCtxRelease_v2", Needs::initialised, [&] {
    if (!is_device(device)) return CUDA_ERROR_INVALID_DEVICE;
    const CUcontext context = context_of(device);
    if (context->retains == 0) {
      misuse("cuDevicePrimaryCtxRelease_v2", emulator::Kind::invalid_call,
             "released more often than retained");
      return CUDA_ERROR_INVALID_CONTEXT;
    }
    if (--context->retains == 0) end(context);
    return CUDA_SUCCESS;
  });
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice device) {
  return entry("cuDevicePrimaryCtxReset_v2", Needs::initialised, [&] {
    if (!is_device(device)) return CUDA_ERROR_INVALID_DEVICE;
    end(context_of(device));
    return CUDA_SUCCESS;
  });
}

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned flags) {
  return entry("cuDevicePrimaryCtxSetFlags_v2", Needs::initialised, [&] {
    if (!is_device(device)) return CUDA_ERROR_INVALID_DEVICE;
    context_of(device)->flags = flags;
    return CUDA_SUCCESS;
  });
}

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned* flags, int* active) {
  return entry("cuDevicePrimaryCtxGetState", Needs::initialised, [&] {
    if (!is_device(device)) return CUDA_ERROR_INVALID_DEVICE;
    const CUcontext context = context_of(device);
    if (flags != nullptr) *flags = context->flags;
    if (active != nullptr) *active = context->retains > 0 ? 1 : 0;
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxGetCurrent(CUcontext* context) {
  return entry("cuCtxGetCurrent", Needs::initialised, [&] {
    if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *context = current_context();
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxSetCurrent(CUcontext context) {
  return entry("cuCtxSetCurrent", Needs::initialised, [&] {
    if (!stack.empty()) stack.pop_back();
    if (context != nullptr) stack.push_back(context);
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxPushCurrent_v2(CUcontext context) {
  return entry("cuCtxPushCurrent_v2", Needs::initialised, [&] {
    if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
    stack.push_back(context);
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxPopCurrent_v2(CUcontext* context) {
  return entry("cuCtxPopCurrent_v2", Needs::initialised, [&] {
    if (stack.empty()) return CUDA_ERROR_INVALID_CONTEXT;
    if (context != nullptr) *context = stack.back();
    stack.pop_back();
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxGetDevice(CUdevice* device) {
  return entry("cuCtxGetDevice", Needs::context, [&] {
    if (device == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *device = current_context()->device;
    return CUDA_SUCCESS;
  });
}

CUresult cuCtxSynchronize() {
  return entry("cuCtxSynchronize", Needs::context, [&] {
    if (forbidden_by_capture()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    run_all();
    return current_context()->status;
  });
}

}  // extern "C"
}  // namespace tr0n::cuda
