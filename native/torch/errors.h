#pragma once
#include <new>
#include <stdexcept>
#include <string>

#include "torch/torch_api.h"

namespace tr0n::torchscript {

/// An error with one of Tr0nError's codes; the message begins with the model's name.
class Failure : public std::runtime_error {
 public:
  Failure(const char* code, const std::string& message) : std::runtime_error(message), code_(code) {}
  const char* code() const noexcept { return code_; }

 private:
  const char* code_;
};

/// What an archive contradicts itself in, or has of what libtorch never writes. The message does not name the
/// model.
class Damaged : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// libtorch's message as a person wants it: what was raised, and in which line, without the tracebacks.
std::string readable(const std::string& message);

/// Whether a message of libtorch means that memory was refused.
bool says_out_of_memory(const std::string& message);

/// Runs the body of a function of the interface: exceptions end here. What is not a Failure has the code
/// `otherwise`, and "NAME: " and `doing` in front.
template <class Body>
int guard(const tr0n_torch_errors* errors, const std::string& name, const char* otherwise, const char* doing,
          Body body) noexcept {
  try {
    try {
      body();
      return 0;
    } catch (const Failure& failure) {
      errors->fail(errors->context, failure.code(), failure.what());
    } catch (const std::bad_alloc&) {
      errors->fail(errors->context, "ERR_OUT_OF_MEMORY", (name + ": an allocation failed").c_str());
    } catch (const std::exception& error) {
      const char* code = says_out_of_memory(error.what()) ? "ERR_OUT_OF_MEMORY" : otherwise;
      errors->fail(errors->context, code, (name + ": " + doing + ": " + readable(error.what())).c_str());
    } catch (...) {
      errors->fail(errors->context, "ERR_INTERNAL", (name + ": an exception of unknown type").c_str());
    }
  } catch (...) {
    errors->fail(errors->context, "ERR_OUT_OF_MEMORY", "an allocation failed while an error was reported");
  }
  return 1;
}

}  // namespace tr0n::torchscript
