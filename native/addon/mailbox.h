#pragma once
#include <napi.h>

#include <deque>
#include <functional>
#include <memory>
#include <mutex>

namespace tr0n::addon {

/// How other threads reach one JavaScript environment (the main thread's or a worker's): messages, run there
/// in order. A mailbox outlives its environment; posting to a closed one does nothing.
class Mailbox : public std::enable_shared_from_this<Mailbox> {
 public:
  using Message = std::function<void(Napi::Env)>;

  explicit Mailbox(Napi::Env env);
  /// From any thread. False where the environment is gone.
  bool post(Message message);
  /// On the JavaScript thread: while anything is held the event loop stays alive, as for a pending fs call.
  void hold();
  void unhold();
  /// On the JavaScript thread, once; nothing is delivered afterwards.
  void close();

 private:
  static void deliver(napi_env env, napi_value function, void* context, void* data);
  napi_env env_;
  napi_threadsafe_function wake_ = nullptr;
  size_t holds_ = 0;
  std::mutex mutex_;
  bool closed_ = false;
  std::deque<Message> messages_;
};

}  // namespace tr0n::addon
