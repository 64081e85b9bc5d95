#pragma once
#include <string>

#include "base/error.h"
#include "cuda/library.h"

namespace tr0n::cuda {

/// Whether a context that has returned this status returns nothing else any more.
bool sticky(CUresult status);

/// The stable code (lib/base/errors.ts) for a status.
const char* code_of(CUresult status);

/// "CUDA_ERROR_OUT_OF_MEMORY (out of memory)"
std::string status_text(const DriverApi& api, CUresult status);

/// What a call of the driver said.
class DriverError : public Error {
 public:
  DriverError(CUresult status, const std::string& message)
      : Error(code_of(status), message), status_(status) {}
  CUresult status() const noexcept { return status_; }

 private:
  CUresult status_;
};

/// The error for a status: "who: cuMemAllocAsync: CUDA_ERROR_OUT_OF_MEMORY (out of memory); detail". `call`
/// is the function's symbol.
DriverError make_error(const DriverApi& api, CUresult status, const std::string& who, const char* call,
                       const std::string& detail);

}  // namespace tr0n::cuda
