#include "addon/job.h"

#include <new>

#include "addon/environment.h"

namespace tr0n::addon {
namespace {

constexpr auto kReportInterval = std::chrono::milliseconds(33);
constexpr size_t kMostUndelivered = 4;

}  // namespace

void Job::cancel() {
  token_.cancel();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    change_.notify_all();
    if (stage_ != Stage::queued) return;
    stage_ = Stage::finished;
  }
  work_ = nullptr;  // nobody else will touch it now
  finish({nullptr, "ERR_ABORTED", "the job was aborted before it began", {}});
}

void Job::execute() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (stage_ != Stage::queued) return;
    stage_ = Stage::running;
  }
  Outcome outcome = work_out();
  work_ = nullptr;  // lets go of models and inputs before anybody learns that the job is done
  finish(std::move(outcome));
  std::lock_guard<std::mutex> lock(mutex_);
  stage_ = Stage::finished;
  change_.notify_all();
}

Job::Outcome Job::work_out() {
  Outcome outcome;
  try {
    token_.throw_if_cancelled();
    outcome.value = work_(*this);
  } catch (const Error& error) {
    outcome.code = error.code();
    outcome.message = error.what();
    outcome.trace = error.trace();
  } catch (const std::bad_alloc&) {
    outcome.code = "ERR_OUT_OF_MEMORY";
    outcome.message = "an allocation failed";
  } catch (const std::exception& error) {
    outcome.code = "ERR_INTERNAL";
    outcome.message = error.what();
  } catch (...) {
    outcome.code = "ERR_INTERNAL";
    outcome.message = "an exception of unknown type";
  }
  // Whatever a cancelled job came to, its caller has turned away and expects to hear just that.
  if (token_.cancelled() && outcome.code != "ERR_ABORTED")
    outcome = {nullptr, "ERR_ABORTED", "the job was aborted", {}};
  return outcome;
}

void Job::finish(Outcome outcome) {
  const auto shared = std::make_shared<Outcome>(std::move(outcome));
  mailbox_->post([self = shared_from_this(), shared](Napi::Env env) {
    Environment::of(env).settle(*self, shared->value, shared->code, shared->message, shared->trace);
  });
}

void Job::wait() {
  std::unique_lock<std::mutex> lock(mutex_);
  change_.wait(lock, [&] { return stage_ == Stage::finished; });
}

bool Job::report_due() const {
  return listens_ && std::chrono::steady_clock::now() - last_report_ >= kReportInterval;
}

void Job::report(MakeValue progress) {
  if (!listens_) return;
  const auto now = std::chrono::steady_clock::now();
  std::lock_guard<std::mutex> lock(mutex_);
  latest_ = std::move(progress);
  if (latest_posted_ || now - last_report_ < kReportInterval) return;
  last_report_ = now;
  latest_posted_ = true;
  post_report();
}

void Job::post_report() {
  mailbox_->post([self = shared_from_this()](Napi::Env env) { Environment::of(env).deliver_report(*self); });
}

MakeValue Job::take_report() {
  std::lock_guard<std::mutex> lock(mutex_);
  latest_posted_ = false;
  return std::exchange(latest_, nullptr);
}

void Job::report_in_order(MakeValue progress) {
  if (!listens_) return;
  // Before the lock: cancel() holds the token's lock while it calls the hook.
  const CancelToken::Hook hook(token_, [this] {
    std::lock_guard<std::mutex> lock(mutex_);
    change_.notify_all();
  });
  {
    std::unique_lock<std::mutex> lock(mutex_);
    change_.wait(lock, [&] { return undelivered_ < kMostUndelivered || token_.cancelled(); });
    token_.throw_if_cancelled();
    ++undelivered_;
  }
  mailbox_->post([self = shared_from_this(), progress = std::move(progress)](Napi::Env env) {
    Environment::of(env).deliver(*self, progress);
    self->delivered();
  });
}

void Job::delivered() {
  std::lock_guard<std::mutex> lock(mutex_);
  --undelivered_;
  change_.notify_all();
}

}  // namespace tr0n::addon
