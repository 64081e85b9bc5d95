#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "cuda/driver_api.h"

namespace tr0n::cuda {
extern "C" {
#define TR0N_CUDA_FUNCTION(name, parameters) CUresult name parameters;
TR0N_CUDA_FUNCTIONS(TR0N_CUDA_FUNCTION)
#undef TR0N_CUDA_FUNCTION
}
}  // namespace tr0n::cuda

/// The emulated GPU, as a provider sees it: its primary context, streams and memory.
namespace tr0n::provider {

/// Throws what a status of the driver says.
void driver(cuda::CUresult status, const char* call);

int gpu_count();

/// Makes a GPU's primary context current for as long as this lives, and keeps it open for so long.
class Current {
 public:
  explicit Current(int gpu);
  ~Current();
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;

 private:
  const int gpu_;
};

/// Keeps a GPU's primary context open.
class Held {
 public:
  explicit Held(int gpu);
  ~Held();
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  const int gpu;
};

/// A stream, owned, that no other stream waits for.
class OwnStream {
 public:
  explicit OwnStream(int gpu);
  ~OwnStream();
  OwnStream(const OwnStream&) = delete;
  OwnStream& operator=(const OwnStream&) = delete;
  cuda::CUstream handle() const { return handle_; }

 private:
  const Held held_;
  cuda::CUstream handle_ = nullptr;
};

/// Null where the GPU has too little left, or failed.
void* allocate(int gpu, size_t bytes) noexcept;
/// Throws why there is no memory: the GPU failed, or has too little left.
[[noreturn]] void refuse_memory(int gpu, size_t bytes);
/// In the order of the stream that used it last, as pools of real providers do.
void release(void* memory) noexcept;
/// Memory of allocate() that a stream uses; other memory is its owner's affair.
void used_by(const void* memory, cuda::CUstream stream);

}  // namespace tr0n::provider
