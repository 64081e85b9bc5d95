#include "torch/deep_stack.h"

#include <pthread.h>

#include <exception>
#include <new>

namespace tr0n::torchscript {
namespace {

/// Twice of what the longest chain of functions takes that code.cpp lets through.
constexpr size_t kStack = size_t{512} << 20;

struct Call {
  const std::function<void()>& body;
  std::exception_ptr error;
};

void* run(void* argument) {
  auto& call = *static_cast<Call*>(argument);
  try {
    call.body();
  } catch (...) {
    call.error = std::current_exception();
  }
  return nullptr;
}

}  // namespace

void on_deep_stack(const std::function<void()>& body) {
  Call call{body, nullptr};
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) throw std::bad_alloc();
  pthread_t thread{};
  const bool started = pthread_attr_setstacksize(&attributes, kStack) == 0 &&
                       pthread_create(&thread, &attributes, run, &call) == 0;
  pthread_attr_destroy(&attributes);
  if (!started) throw std::bad_alloc();
  pthread_join(thread, nullptr);
  if (call.error) std::rethrow_exception(call.error);
}

}  // namespace tr0n::torchscript
