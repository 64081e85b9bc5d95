#include "addon/mailbox.h"

namespace tr0n::addon {

Mailbox::Mailbox(Napi::Env env) : env_(env) {
  const napi_value name = Napi::String::New(env, "tr0n");
  const napi_status status = napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr,
                                                             nullptr, this, &Mailbox::deliver, &wake_);
  if (status != napi_ok) throw Napi::Error::New(env, "tr0n: no thread-safe function can be made");
  napi_unref_threadsafe_function(env, wake_);
}

bool Mailbox::post(Message message) {
  // Under the lock throughout: close() must not let the function go while a thread is about to call it.
  std::lock_guard<std::mutex> lock(mutex_);
  if (closed_) return false;
  messages_.push_back(std::move(message));
  // One wake-up takes all messages that are there.
  if (messages_.size() == 1 &&
      napi_call_threadsafe_function(wake_, nullptr, napi_tsfn_nonblocking) != napi_ok)
    closed_ = true;
  return !closed_;
}

void Mailbox::hold() {
  if (holds_++ == 0) napi_ref_threadsafe_function(env_, wake_);
}

void Mailbox::unhold() {
  if (--holds_ == 0) napi_unref_threadsafe_function(env_, wake_);
}

void Mailbox::close() {
  std::deque<Message> dropped;
  std::lock_guard<std::mutex> lock(mutex_);
  dropped.swap(messages_);
  closed_ = true;
  napi_release_threadsafe_function(wake_, napi_tsfn_abort);
}

void Mailbox::deliver(napi_env raw, napi_value, void* context, void*) {
  if (!raw) return;  // the environment is being torn down
  // Kept: a message may end the environment's last use of this mailbox.
  const auto self = static_cast<Mailbox*>(context)->shared_from_this();
  std::deque<Message> messages;
  {
    std::lock_guard<std::mutex> lock(self->mutex_);
    messages.swap(self->messages_);
  }
  const Napi::Env env(raw);
  for (Message& message : messages) {
    const Napi::HandleScope scope(env);
    try {
      message(env);
    } catch (const Napi::Error&) {
      // Only a terminating worker refuses these calls; there is nobody left to tell.
    }
  }
}

}  // namespace tr0n::addon
