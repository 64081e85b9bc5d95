#include <algorithm>
#include <cstring>

#include "emulator/driver/driver.h"
#include "emulator/driver/limits.h"

namespace tr0n::cuda {
namespace {

CUresult gather_parameters(const emulator::Function& function, void** parameters, void** extra,
                           std::vector<std::byte>& out) {
  out.assign(function.parameter_bytes, std::byte{0});
  if (extra != nullptr) {
    // CU_LAUNCH_PARAM_END 0, …_BUFFER_POINTER 1, …_BUFFER_SIZE 2
    const void* buffer = nullptr;
    size_t size = 0;
    for (void** item = extra; *item != nullptr; item += 2) {
      if (reinterpret_cast<uintptr_t>(item[0]) == 1) buffer = item[1];
      if (reinterpret_cast<uintptr_t>(item[0]) == 2) size = *static_cast<size_t*>(item[1]);
    }
    if (parameters != nullptr || buffer == nullptr || size < function.parameter_bytes)
      return CUDA_ERROR_INVALID_VALUE;
    std::memcpy(out.data(), buffer, out.size());
    return CUDA_SUCCESS;
  }
  if (parameters == nullptr) return function.parameters.empty() ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  for (size_t k = 0; k < function.parameters.size(); ++k) {
    if (parameters[k] == nullptr) return CUDA_ERROR_INVALID_VALUE;
    std::memcpy(out.data() + function.parameters[k].offset, parameters[k], function.parameters[k].bytes);
  }
  return CUDA_SUCCESS;
}

struct Shape {
  unsigned grid[3], block[3], shared;
};

CUresult launch(CUfunction handle, const Shape& shape, CUstream stream_handle, void** parameters,
                void** extra, bool cooperative) {
  const CUstream stream = stream_of(stream_handle);
  if (stream == nullptr || driver().functions.count(handle) == 0) return CUDA_ERROR_INVALID_HANDLE;
  const emulator::Function& function = *handle->function;
  uint64_t threads = 1;
  for (int axis = 0; axis < 3; ++axis) {
    const unsigned most_blocks = axis == 0 ? 2147483647U : 65535U, most_threads = axis == 2 ? 64U : 1024U;
    if (shape.grid[axis] == 0 || shape.grid[axis] > most_blocks || shape.block[axis] == 0 ||
        shape.block[axis] > most_threads)
      return CUDA_ERROR_INVALID_VALUE;
    threads *= shape.block[axis];
    if (function.required_threads[0] != 0 && function.required_threads[axis] != 0 &&
        shape.block[axis] != function.required_threads[axis])
      return CUDA_ERROR_INVALID_VALUE;
  }
  if (threads > 1024) return CUDA_ERROR_INVALID_VALUE;
  if (threads > static_cast<uint64_t>(max_threads_of(function))) return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
  const uint64_t shared = uint64_t{function.shared_bytes} + shape.shared;
  if (shared > static_cast<uint64_t>(std::max(
                   kSharedDefault, handle->max_dynamic_shared + static_cast<int>(function.shared_bytes))))
    return CUDA_ERROR_INVALID_VALUE;
  if (cooperative) {
    const uint64_t together =
        static_cast<uint64_t>(active_blocks(function, static_cast<int>(threads), shape.shared)) *
        static_cast<uint64_t>(limits().multiprocessors);
    if (uint64_t{shape.grid[0]} * shape.grid[1] * shape.grid[2] > together)
      return CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE;
  }
  std::vector<std::byte> arguments;
  const CUresult status = gather_parameters(function, parameters, extra, arguments);
  if (status != CUDA_SUCCESS) return status;
  const emulator::Module* module = handle->module->module.get();
  const int device = stream->context->device;
  return enqueue(stream, function.name.c_str(), [=, &function] {
    emulator::Launch work;
    work.module = module;
    work.function = &function;
    std::copy_n(shape.grid, 3, work.grid);
    std::copy_n(shape.block, 3, work.block);
    work.dynamic_shared = shape.shared;
    work.parameters = arguments;
    work.cooperative = cooperative;
    work.device = device;
    try {
      emulator::execute(work);
    } catch (const emulator::Fault&) {
      count_launch(work);
      throw;
    }
    count_launch(work);
  });
}

}  // namespace

extern "C" {

CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                        unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                        CUstream stream, void** parameters, void** extra) {
  return entry("cuLaunchKernel", Needs::context, [&] {
    return launch(function, {{grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared_bytes}, stream,
                  parameters, extra, false);
  });
}

CUresult cuLaunchCooperativeKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                                   unsigned block_x, unsigned block_y, unsigned block_z,
                                   unsigned shared_bytes, CUstream stream, void** parameters) {
  return entry("cuLaunchCooperativeKernel", Needs::context, [&] {
    return launch(function, {{grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared_bytes}, stream,
                  parameters, nullptr, true);
  });
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction function, int block_size,
                                                     size_t shared_bytes) {
  return entry("cuOccupancyMaxActiveBlocksPerMultiprocessor", Needs::context, [&] {
    if (blocks == nullptr || block_size <= 0) return CUDA_ERROR_INVALID_VALUE;
    if (driver().functions.count(function) == 0) return CUDA_ERROR_INVALID_HANDLE;
    *blocks = active_blocks(*function->function, block_size, shared_bytes);
    return CUDA_SUCCESS;
  });
}

CUresult cuOccupancyMaxPotentialBlockSize(int* grid, int* block, CUfunction function,
                                          CUoccupancyB2DSize shared_of, size_t shared_bytes, int limit) {
  return entry("cuOccupancyMaxPotentialBlockSize", Needs::context, [&] {
    if (grid == nullptr || block == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (driver().functions.count(function) == 0) return CUDA_ERROR_INVALID_HANDLE;
    const int most = std::min(limit > 0 ? limit : 1024, max_threads_of(*function->function));
    int best = 0;
    *block = *grid = 0;
    for (int size = most / 32 * 32; size > 0; size -= 32) {
      const int active =
          active_blocks(*function->function, size, shared_of != nullptr ? shared_of(size) : shared_bytes);
      if (active * size <= best) continue;
      best = active * size;
      *block = size;
      *grid = active * limits().multiprocessors;
    }
    return best > 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  });
}

}  // extern "C"
}  // namespace tr0n::cuda
