#include "cuda/memory.h"

#include <algorithm>

namespace tr0n::cuda {
namespace {

/// Free memory that the driver's pool keeps at a synchronisation instead of giving it back to the system.
constexpr uint64_t kKept = uint64_t{256} << 20;

/// Sizes of our own pool: multiples of 512 bytes, above 1 MiB of 1 MiB.
size_t rounded(size_t bytes) {
  const size_t unit = bytes > (size_t{1} << 20) ? size_t{1} << 20 : 512;
  return (bytes + unit - 1) / unit * unit;
}

}  // namespace

Memory::Memory(const Context& context, CUstream stream) : context_(context), stream_(stream) {
  const DriverApi& api = context.api();
  const bool offered = api.cuMemAllocAsync != nullptr && api.cuMemFreeAsync != nullptr &&
                       api.cuDeviceGetDefaultMemPool != nullptr && api.cuMemPoolSetAttribute != nullptr &&
                       api.cuMemPoolGetAttribute != nullptr && api.cuMemPoolTrimTo != nullptr;
  int supported = 0;
  if (!offered || api.cuDeviceGetAttribute(&supported, CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED,
                                           context.device()) != CUDA_SUCCESS)
    return;
  if (supported == 0) return;
  CUmemoryPool pool = nullptr;
  TR0N_CUDA(context, cuDeviceGetDefaultMemPool, &pool, context.device());
  // Others in this process use the same pool: its threshold is raised, never lowered.
  uint64_t threshold = 0;
  TR0N_CUDA(context, cuMemPoolGetAttribute, pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &threshold);
  threshold = std::max(threshold, kKept);
  TR0N_CUDA(context, cuMemPoolSetAttribute, pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &threshold);
  pool_ = pool;
}

Memory::~Memory() {
  for (const CUdeviceptr pointer : refused_) context_.api().cuMemFree_v2(pointer);
  give_back();
}

/// Returns free memory to the system.
void Memory::give_back() noexcept {
  context_.api().cuStreamSynchronize(stream_);
  if (pool_ != nullptr) context_.api().cuMemPoolTrimTo(pool_, 0);
  for (const auto& [bytes, pointer] : free_) context_.api().cuMemFree_v2(pointer);
  free_.clear();
}

CUresult Memory::try_allocate(CUdeviceptr& pointer, size_t bytes) {
  return pool_ != nullptr ? context_.api().cuMemAllocAsync(&pointer, bytes, stream_)
                          : context_.api().cuMemAlloc_v2(&pointer, rounded(bytes));
}

void* Memory::allocate(size_t bytes) {
  const std::lock_guard lock(mutex_);
  if (pool_ == nullptr) {
    // The smallest that fits, where it is not more than twice as large.
    const auto found = free_.lower_bound(rounded(bytes));
    if (found != free_.end() && found->first / 2 <= rounded(bytes)) {
      const auto [size, pointer] = *found;
      used_.emplace(pointer, size);
      free_.erase(found);
      return reinterpret_cast<void*>(pointer);
    }
  }
  CUdeviceptr pointer = 0;
  CUresult status = try_allocate(pointer, bytes);
  if (status == CUDA_ERROR_OUT_OF_MEMORY) {
    give_back();
    status = try_allocate(pointer, bytes);
  }
  if (status != CUDA_SUCCESS) {
    size_t available = 0, total = 0;
    std::string detail = std::to_string(bytes) + " bytes were asked for";
    if (context_.api().cuMemGetInfo_v2(&available, &total) == CUDA_SUCCESS)
      detail +=
          ", " + std::to_string(available >> 20) + " of " + std::to_string(total >> 20) + " MiB are free";
    context_.check(status, pool_ != nullptr ? "cuMemAllocAsync" : "cuMemAlloc", detail);
  }
  if (pool_ == nullptr) used_.emplace(pointer, rounded(bytes));
  return reinterpret_cast<void*>(pointer);
}

void Memory::release(void* memory) noexcept {
  const auto pointer = reinterpret_cast<CUdeviceptr>(memory);
  const std::lock_guard lock(mutex_);
  if (pool_ != nullptr) {
    if (context_.api().cuMemFreeAsync(pointer, stream_) != CUDA_SUCCESS) refused_.push_back(pointer);
    return;
  }
  const auto found = used_.find(pointer);
  free_.emplace(found->second, pointer);
  used_.erase(found);
}

}  // namespace tr0n::cuda
