#pragma once
#include <cstddef>
#include <mutex>
#include <type_traits>

namespace tr0n::cuda {

struct Dim {
  unsigned x = 1, y = 1, z = 1;
};

/// One launch of a kernel: its name in the .cu file (extern "C"), and its shape. Shared memory beyond the
/// default limit is asked for where needed.
struct Launch {
  const char* kernel;
  Dim grid;
  Dim block;
  unsigned shared_bytes = 0;  ///< dynamic
  bool cooperative = false;   ///< all blocks are resident at once, so that they may wait for each other
};

/// Scratch memory of a device, aligned to 256 bytes, undefined at first. Nobody else gets it while this
/// lives: launch every kernel that uses it within one scope. What was launched in the scope comes, on the
/// device, before what is launched in the next.
class Workspace {
 public:
  Workspace(void* data, std::unique_lock<std::recursive_mutex> lock) : data_(data), lock_(std::move(lock)) {}
  template <class T>
  T* as(size_t byte_offset = 0) const {
    return reinterpret_cast<T*>(static_cast<char*>(data_) + byte_offset);
  }

 private:
  void* data_;
  std::unique_lock<std::recursive_mutex> lock_;
};

/// Where kernels are launched: what authors of kernels see of a device. Launches run in the order of the
/// calls, those of different threads included.
class Queue {
 public:
  virtual ~Queue() = default;

  /// Launches with the arguments by value, each of exactly the type (size and alignment) of the kernel's
  /// parameter. Nothing happens where the grid is empty. Throws; errors of the kernel itself show at a later
  /// call.
  template <class... Args>
  void launch(const Launch& shape, const Args&... args) const {
    static_assert((std::is_trivially_copyable_v<Args> && ...), "kernel arguments are copied bytewise");
    static_assert((!std::is_same_v<Args, bool> && ...),
                  "pass int or unsigned: the size of bool is the compiler's");
    const void* values[] = {&args..., nullptr};
    // NOLINTNEXTLINE(bugprone-sizeof-expression): a pointer among the arguments is copied as one
    const size_t sizes[] = {sizeof(Args)..., 0};
    submit(shape, values, sizes, sizeof...(Args));
  }

  /// At least `bytes` of scratch memory. Throws ERR_OUT_OF_MEMORY.
  virtual Workspace workspace(size_t bytes) const = 0;
  /// Sets bytes to zero.
  virtual void zero(void* memory, size_t bytes) const = 0;

  virtual int compute_capability() const = 0;  ///< 89 for 8.9
  virtual int multiprocessors() const = 0;
  virtual size_t max_shared_bytes() const = 0;  ///< that a block may use, static and dynamic together
  /// Blocks of this kernel that a multiprocessor holds at once.
  virtual int resident_blocks(const char* kernel, unsigned threads, unsigned shared_bytes) const = 0;

 private:
  virtual void submit(const Launch& shape, const void* const* values, const size_t* sizes,
                      size_t count) const = 0;
};

}  // namespace tr0n::cuda
