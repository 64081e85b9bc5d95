#pragma once
#include <napi.h>

#include <map>
#include <memory>
#include <vector>

#include "addon/job.h"
#include "addon/mailbox.h"

namespace tr0n::addon {

/// What one JavaScript environment owns; each worker thread has its own. Everything here runs on its thread.
class Environment {
 public:
  explicit Environment(Napi::Env env);
  ~Environment() = default;
  static Environment& of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

  Napi::FunctionReference session, translator, trainer, objective, row_map, torch_model,
      device;  ///< the classes

  /// JavaScript values a job must keep alive: input arrays, objects.
  using Kept = std::vector<Napi::ObjectReference>;
  /// Starts a job: { promise, cancel }. `progress` may be empty or undefined.
  Napi::Object start(Kept kept, const Napi::Value& progress, Job::Work work);

  /// Called through the mailbox.
  void settle(Job& job, const MakeValue& value, const std::string& code, const std::string& message,
              const std::vector<float>& trace);
  void deliver_report(Job& job);
  void deliver(Job& job, const MakeValue& progress);

 private:
  struct Pending {
    std::shared_ptr<Job> job;
    Napi::Promise::Deferred deferred;
    Kept kept;
    Napi::FunctionReference progress;
    Napi::Reference<Napi::Value> thrown;  ///< by the progress callback
    bool has_thrown = false;
  };
  static void tear_down(void* self);

  Napi::Env env_;
  std::shared_ptr<Mailbox> mailbox_;
  std::map<uint64_t, Pending> pending_;
  uint64_t next_id_ = 0;
};

}  // namespace tr0n::addon
