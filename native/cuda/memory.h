#pragma once
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "cuda/context.h"

namespace tr0n::cuda {

/// A device's memory in the order of one stream: what is released may be given out again at once, since all
/// that uses it runs in that stream. The driver's pool where it has one, else one of our own. For several
/// threads.
class Memory {
 public:
  Memory(const Context& context, CUstream stream);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  /// Aligned to 256 bytes. Throws ERR_OUT_OF_MEMORY with what was asked for and what is free. The context
  /// must be current, as for all here.
  void* allocate(size_t bytes);
  void release(void* memory) noexcept;

 private:
  CUresult try_allocate(CUdeviceptr& pointer, size_t bytes);
  void give_back() noexcept;

  const Context& context_;
  const CUstream stream_;
  CUmemoryPool pool_ = nullptr;  ///< null: our own
  std::mutex mutex_;
  std::multimap<size_t, CUdeviceptr> free_;       ///< our own pool: released, by size
  std::unordered_map<CUdeviceptr, size_t> used_;  ///< our own pool: given out
  std::vector<CUdeviceptr> refused_;  ///< what the driver would not take back, for another try at the end
};

}  // namespace tr0n::cuda
