#pragma once
#include <ATen/record_function.h>

namespace tr0n::torchscript {

/// What a forward pass did.
struct Work {
  double flops = 0;      ///< two for each multiply-add, one for each element of anything else
  double operators = 0;  ///< calls
};

/// Counts the operators that this thread calls as long as it lives. Only those that no other operator calls
/// count.
class WorkCount {
 public:
  explicit WorkCount(Work& work);
  ~WorkCount();
  WorkCount(const WorkCount&) = delete;
  WorkCount& operator=(const WorkCount&) = delete;

 private:
  Work* before_;
  at::CallbackHandle handle_;
};

template <class Body>
auto counted(Work& work, Body body) {
  const WorkCount count(work);
  return body();
}

}  // namespace tr0n::torchscript
