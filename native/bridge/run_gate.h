#pragma once
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>

#include "base/cancel.h"

namespace tr0n {

/// Lets one at a time through, in the order of their coming: two samplers on one device take turns.
class RunGate {
 public:
  /// Being inside, from its construction, which waits, to its end.
  class Turn {
   public:
    /// Either may be null. Throws ERR_ABORTED where the token is cancelled while it waits.
    Turn(RunGate* gate, const CancelToken* cancel) : gate_(gate) {
      if (gate_) gate_->enter(cancel);
    }
    ~Turn() {
      if (gate_) gate_->leave();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    RunGate* gate_;
  };

 private:
  void enter(const CancelToken* cancel);
  void leave();
  std::mutex mutex_;
  std::condition_variable change_;
  std::deque<uint64_t> queue_;  ///< whose turn it is comes first
  uint64_t next_ = 0;
};

}  // namespace tr0n
