#pragma once
#include <functional>
#include <memory>

#include "addon/job.h"

namespace tr0n::addon {

/// The threads that jobs run on: our own, not libuv's pool, whose few threads serve fs and dns. Made on
/// demand, at most limit() of them, gone after some idle seconds. A job's inner loops use base/thread_pool.h;
/// a runner is the thread that takes part in them.
class Executor {
 public:
  static Executor& instance();
  void submit(std::shared_ptr<Job> job);
  /// Cancels everything and waits for runners to let go, for a limited time. At process exit only.
  void shut_down();
  static size_t limit();

 private:
  Executor();
  struct State;
  static void* runner(void* state);
  State* state_;
};

}  // namespace tr0n::addon
