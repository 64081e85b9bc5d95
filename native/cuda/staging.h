#pragma once
#include <cstddef>
#include <mutex>

#include "cuda/context.h"

namespace tr0n::cuda {

/// Page-locked memory that copies between host and device go through, so that they overlap with kernels and
/// the caller's memory is free at once. For several threads. The context must be current.
class Staging {
 public:
  Staging(const Context& context, CUstream stream);
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  /// Enqueues; `from` may be changed when this returns.
  void upload(CUdeviceptr to, const void* from, size_t bytes);
  /// Waits for what was enqueued before, and for the copy. `running`: the kernels to name should it fail.
  void download(void* to, CUdeviceptr from, size_t bytes, const std::string& running);

 private:
  static constexpr size_t kSlot = size_t{1} << 20;
  struct Slot {
    char* memory = nullptr;
    CUevent done = nullptr;  ///< recorded behind the last copy that uses the slot
    bool recorded = false;
    size_t used = 0;
  };
  void open(Slot& slot);
  void close(Slot& slot) noexcept;
  void await(Slot& slot, const std::string& running);
  void next_upload_slot();

  const Context& context_;
  const CUstream stream_;
  std::mutex upload_mutex_, download_mutex_;
  Slot upload_[4], download_[2];
  size_t current_ = 0;
};

}  // namespace tr0n::cuda
