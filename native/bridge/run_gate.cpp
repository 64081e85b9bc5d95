#include "bridge/run_gate.h"

#include <algorithm>
#include <chrono>

namespace tr0n {
namespace {

/// Who waits looks so often whether it is still to.
constexpr auto kLook = std::chrono::milliseconds(20);

}  // namespace

void RunGate::enter(const CancelToken* cancel) {
  std::unique_lock lock(mutex_);
  const uint64_t mine = next_++;
  queue_.push_back(mine);
  while (queue_.front() != mine) {
    if (cancel == nullptr) {
      change_.wait(lock);
      continue;
    }
    change_.wait_for(lock, kLook);
    if (!cancel->cancelled() || queue_.front() == mine) continue;
    queue_.erase(std::find(queue_.begin(), queue_.end(), mine));
    cancel->throw_if_cancelled();
  }
}

void RunGate::leave() {
  const std::lock_guard lock(mutex_);
  queue_.pop_front();
  change_.notify_all();
}

}  // namespace tr0n
