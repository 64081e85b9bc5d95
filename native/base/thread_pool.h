#pragma once
#include <cstddef>
#include <functional>

namespace tr0n {

/// The one pool of the process, sized once from the CPUs this process may use (affinity mask and cgroup
/// quota) or by resize(). Never destroyed by a thread that could still be inside it.
class ThreadPool {
 public:
  static ThreadPool& instance();
  /// Threads that work on a loop, the caller's included; at least 1.
  size_t size() const;
  /// Changes the size; waits for running loops. Results never depend on it.
  void resize(size_t threads);
  /// Calls body(i) for i in [0, n), the caller taking part. The first exception is rethrown here after every
  /// started call has ended. May be called from several threads at once; a nested call runs in its caller.
  void parallel_for(size_t n, const std::function<void(size_t)>& body);

 private:
  ThreadPool();
  struct State;
  State* state_;
};

/// The CPUs this process may use: min(affinity mask, cgroup v1/v2 quota rounded up), at least 1.
size_t available_cpus();

}  // namespace tr0n
