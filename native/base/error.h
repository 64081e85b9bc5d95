#pragma once
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace tr0n {

/// An error that a caller can cause. `code` is one of the stable codes of lib/base/errors.ts.
class Error : public std::runtime_error {
 public:
  Error(std::string code, const std::string& message) : std::runtime_error(message), code_(std::move(code)) {}
  Error(std::string code, const std::string& message, std::vector<float> trace)
      : std::runtime_error(message), code_(std::move(code)), trace_(std::move(trace)) {}
  const std::string& code() const noexcept { return code_; }
  /// ERR_DIVERGED of a sampler: the condition's energies step by step, the last one that of the chain.
  const std::vector<float>& trace() const noexcept { return trace_; }

 private:
  std::string code_;
  std::vector<float> trace_;
};

}  // namespace tr0n
