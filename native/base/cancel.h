#pragma once
#include <atomic>
#include <functional>
#include <map>
#include <mutex>

#include "base/error.h"

namespace tr0n {

/// Set by the caller's AbortSignal, polled between steps. A hook lets a blocking call (a model's run) be
/// interrupted from inside.
class CancelToken {
 public:
  void cancel() {
    std::lock_guard<std::mutex> lock(mutex_);
    cancelled_.store(true, std::memory_order_release);
    for (auto& hook : hooks_) hook.second();
  }
  bool cancelled() const noexcept { return cancelled_.load(std::memory_order_acquire); }
  void throw_if_cancelled() const {
    if (cancelled()) throw Error("ERR_ABORTED", "the job was aborted");
  }

  /// Calls `on_cancel` (at once if already cancelled) until the returned guard is destroyed.
  class Hook {
   public:
    Hook(CancelToken& token, std::function<void()> on_cancel) : token_(token) {
      std::lock_guard<std::mutex> lock(token_.mutex_);
      id_ = token_.next_++;
      if (token_.cancelled()) on_cancel();
      token_.hooks_.emplace(id_, std::move(on_cancel));
    }
    ~Hook() {
      std::lock_guard<std::mutex> lock(token_.mutex_);
      token_.hooks_.erase(id_);
    }
    Hook(const Hook&) = delete;
    Hook& operator=(const Hook&) = delete;

   private:
    CancelToken& token_;
    int id_ = 0;
  };

 private:
  std::atomic<bool> cancelled_{false};
  std::mutex mutex_;
  std::map<int, std::function<void()>> hooks_;
  int next_ = 0;
};

}  // namespace tr0n
