#pragma once
#include <stdexcept>
#include <string>
#include <utility>

namespace tr0n {

/// An error that a caller can cause. `code` is one of the stable codes of lib/errors.ts.
class Error : public std::runtime_error {
 public:
  Error(std::string code, const std::string& message) : std::runtime_error(message), code_(std::move(code)) {}
  const std::string& code() const noexcept { return code_; }

 private:
  std::string code_;
};

}  // namespace tr0n
