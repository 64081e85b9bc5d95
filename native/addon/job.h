#pragma once
#include <napi.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "addon/mailbox.h"
#include "base/cancel.h"

namespace tr0n::addon {

/// Makes a JavaScript value of native results. Called on the JavaScript thread, at most once.
using MakeValue = std::function<Napi::Value(Napi::Env)>;

/// Something long, run on a thread of the executor. It sees no JavaScript value; what belongs to JavaScript
/// (the promise, references, the progress callback) is kept by Environment under the job's id.
class Job : public std::enable_shared_from_this<Job> {
 public:
  using Work = std::function<MakeValue(Job&)>;

  Job(uint64_t id, std::shared_ptr<Mailbox> mailbox, Work work, bool listens)
      : id_(id), mailbox_(std::move(mailbox)), work_(std::move(work)), listens_(listens) {}

  uint64_t id() const { return id_; }
  CancelToken& token() { return token_; }

  /// From any thread. A job that has not begun ends at once, a running one at its next poll.
  void cancel();
  /// On a runner: does the work and posts the outcome.
  void execute();
  /// Waits until execute() is through, or will never begin.
  void wait();

  // ---- for the work itself

  /// Whether somebody listens to progress.
  bool listens() const { return listens_; }
  /// Whether enough time has passed for another report; saves making one that nobody will see.
  bool report_due() const;
  /// Progress of which only the newest matters, at most some 30 a second. The last one always arrives.
  void report(MakeValue progress);
  /// Progress that must arrive completely and in order. Waits while several reports are undelivered, so that
  /// a slow reader bounds the memory; throws ERR_ABORTED when the job is cancelled meanwhile.
  void report_in_order(MakeValue progress);

  // ---- for Environment, on the JavaScript thread

  MakeValue take_report();
  void delivered();

 private:
  struct Outcome {
    MakeValue value;
    std::string code, message;
    std::vector<float> trace;
  };
  Outcome work_out();
  void finish(Outcome outcome);
  void post_report();

  enum class Stage { queued, running, finished };
  const uint64_t id_;
  const std::shared_ptr<Mailbox> mailbox_;
  Work work_;
  const bool listens_;
  CancelToken token_;

  std::mutex mutex_;
  std::condition_variable change_;
  Stage stage_ = Stage::queued;
  MakeValue latest_;            ///< the newest report that is not delivered
  bool latest_posted_ = false;  ///< a message that will deliver it is on its way
  size_t undelivered_ = 0;      ///< of report_in_order
  std::chrono::steady_clock::time_point last_report_{};
};

}  // namespace tr0n::addon
