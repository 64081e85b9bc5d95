#pragma once
#include "cuda/context.h"

namespace tr0n::cuda {

/// A stream, owned. Does not wait for the default stream, which others in this process may use.
class Stream {
 public:
  explicit Stream(const Context& context) : context_(context) {
    const Current current(context);
    TR0N_CUDA(context, cuStreamCreate, &handle_, CU_STREAM_NON_BLOCKING);
  }
  /// The context must be current.
  ~Stream() { context_.api().cuStreamDestroy_v2(handle_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  CUstream handle() const { return handle_; }

 private:
  const Context& context_;
  CUstream handle_ = nullptr;
};

}  // namespace tr0n::cuda
