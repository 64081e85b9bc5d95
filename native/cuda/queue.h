#pragma once
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "cuda/launch/queue.h"
#include "cuda/memory.h"
#include "cuda/modules.h"
#include "cuda/stream.h"

namespace tr0n::cuda {

/// A device's one stream, its kernels and its scratch memory. For several threads.
class DeviceQueue final : public Queue {
 public:
  explicit DeviceQueue(const Context& context);
  ~DeviceQueue() override;
  DeviceQueue(const DeviceQueue&) = delete;
  DeviceQueue& operator=(const DeviceQueue&) = delete;

  CUstream stream() const { return stream_.handle(); }
  Memory& memory() const { return memory_; }

  Workspace workspace(size_t bytes) const override;
  void zero(void* memory, size_t bytes) const override;
  int compute_capability() const override { return context_.compute_capability(); }
  int multiprocessors() const override { return multiprocessors_; }
  size_t max_shared_bytes() const override { return max_shared_bytes_; }
  int resident_blocks(const char* kernel, unsigned threads, unsigned shared_bytes) const override;

  /// "after kernels a, b": what was launched since finished() was last called; empty where nothing was.
  std::string running() const;
  void launched(const std::vector<std::string>& kernels) const;
  /// All that was launched has ended well.
  void finished() const;
  /// Finds a kernel, and loads its file where that is not yet.
  void load(const char* kernel) const;
  /// What was loaded so far, by file.
  std::map<std::string, std::string> loaded() const;

 private:
  void submit(const Launch& shape, const void* const* values, const size_t* sizes,
              size_t count) const override;
  Function& prepared(const char* kernel, size_t shared_bytes) const;

  const Context& context_;
  const int multiprocessors_;
  const size_t max_shared_bytes_;
  const Stream stream_;  ///< before all that needs it
  mutable Memory memory_;
  mutable std::mutex modules_mutex_, running_mutex_;
  mutable Modules modules_;
  mutable std::vector<std::string> running_;
  mutable std::recursive_mutex workspace_mutex_;
  mutable void* workspace_ = nullptr;
  mutable size_t workspace_bytes_ = 0;
};

/// Where this thread's launches on a queue go instead of its stream, while something is recorded.
struct Detour {
  explicit Detour(const DeviceQueue& target);
  ~Detour();
  Detour(const Detour&) = delete;
  Detour& operator=(const Detour&) = delete;
  /// This thread's for that queue; null where there is none.
  static Detour* of(const DeviceQueue& target);

  const DeviceQueue& queue;
  Detour* const outer;
  CUstream stream = nullptr;  ///< null: a rehearsal, which launches nothing
  void* workspace = nullptr;
  size_t workspace_bytes = 0;        ///< the most that was asked for
  std::vector<std::string> kernels;  ///< that were launched, each once
};

}  // namespace tr0n::cuda
