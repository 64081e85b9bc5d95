#include "addon/environment.h"

#include "addon/counters.h"
#include "addon/errors.h"
#include "addon/executor.h"

namespace tr0n::addon {

Environment::Environment(Napi::Env env) : env_(env), mailbox_(std::make_shared<Mailbox>(env)) {
  // After the mailbox: hooks run last in, first out, and this one must find the mailbox's function alive.
  napi_add_env_cleanup_hook(env, &Environment::tear_down, this);
}

/// The environment ends: a worker was terminated, or the main thread is through. Jobs are cancelled and
/// joined here, so that none of them can touch anything that is about to go away.
void Environment::tear_down(void* pointer) {
  auto& self = *static_cast<Environment*>(pointer);
  self.mailbox_->close();
  for (auto& entry : self.pending_) entry.second.job->cancel();
  for (auto& entry : self.pending_) entry.second.job->wait();
  live_count(Kind::job).fetch_sub(static_cast<int>(self.pending_.size()));
  self.pending_.clear();
}

Napi::Object Environment::start(Kept kept, const Napi::Value& progress, Job::Work work) {
  const bool listens = !progress.IsEmpty() && progress.IsFunction();
  const auto job = std::make_shared<Job>(next_id_++, mailbox_, std::move(work), listens);
  Pending pending{job, Napi::Promise::Deferred::New(env_), std::move(kept), {}, {}};
  if (listens) pending.progress = Napi::Persistent(progress.As<Napi::Function>());
  Napi::Object handle = Napi::Object::New(env_);
  handle.Set("promise", pending.deferred.Promise());
  handle.Set("cancel", Napi::Function::New(
                           env_, [job](const Napi::CallbackInfo&) { job->cancel(); }, "cancel"));
  pending_.emplace(job->id(), std::move(pending));
  mailbox_->hold();
  live_count(Kind::job).fetch_add(1);
  try {
    Executor::instance().submit(job);
  } catch (...) {
    live_count(Kind::job).fetch_sub(1);
    mailbox_->unhold();
    pending_.erase(job->id());
    throw;
  }
  return handle;
}

void Environment::settle(Job& job, const MakeValue& value, const std::string& code,
                         const std::string& message, const std::vector<float>& trace) {
  deliver_report(job);
  const auto found = pending_.find(job.id());
  if (found == pending_.end()) return;
  // Out of the books first: whatever happens below, the job is over.
  Pending pending = std::move(found->second);
  pending_.erase(found);
  live_count(Kind::job).fetch_sub(1);
  mailbox_->unhold();
  pending.kept.clear();
  if (pending.has_thrown)
    return pending.deferred.Reject(pending.thrown.Value().As<Napi::Object>().Get("error"));
  if (!code.empty()) return pending.deferred.Reject(make_error(env_, code, message, trace));
  try {
    pending.deferred.Resolve(value(env_));
  } catch (const Error& error) {
    pending.deferred.Reject(make_error(env_, error.code(), error.what()));
  } catch (const std::bad_alloc&) {
    pending.deferred.Reject(make_error(env_, "ERR_OUT_OF_MEMORY", "the result does not fit into memory"));
  } catch (const Napi::Error& error) {
    pending.deferred.Reject(error.Value());
  }
}

void Environment::deliver_report(Job& job) {
  if (const MakeValue report = job.take_report()) deliver(job, report);
}

void Environment::deliver(Job& job, const MakeValue& progress) {
  const auto found = pending_.find(job.id());
  if (found == pending_.end() || found->second.has_thrown) return;
  try {
    found->second.progress.Call({progress(env_)});
  } catch (const Napi::Error& error) {
    // The callback threw: its job stops and the promise rejects with what was thrown.
    const auto again = pending_.find(job.id());
    if (again == pending_.end()) return;
    Napi::Object box = Napi::Object::New(env_);  // a reference needs an object, and anything can be thrown
    box.Set("error", error.Value());
    again->second.thrown = Napi::Reference<Napi::Value>::New(box, 1);
    again->second.has_thrown = true;
    job.cancel();
  }
}

}  // namespace tr0n::addon
