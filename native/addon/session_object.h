#pragma once
#include "addon/counters.h"
#include "addon/native_object.h"
#include "bridge/session.h"

namespace tr0n::addon {

struct CountedSession {
  explicit CountedSession(Session opened) : session(std::move(opened)) {}
  Session session;
  Live live{Kind::session};
};

/// NativeSession of lib/native/types.
class SessionObject : public NativeObject<SessionObject, CountedSession> {
 public:
  static constexpr const char* kName = "session";
  static constexpr napi_type_tag kTag = {0x7472306e00000001, 0x8d1b2a6c4f5e7001};
  static Napi::FunctionReference& class_of(Environment& environment) { return environment.session; }
  static Napi::Function define(Napi::Env env);
  /// NativeBinding.openSession
  static Napi::Value open(const Napi::CallbackInfo& info);
  /// NativeBinding.hasExternalData
  static Napi::Value has_external_data(const Napi::CallbackInfo& info);
  explicit SessionObject(const Napi::CallbackInfo& info);

  /// The session behind an argument, kept alive by the pointer.
  static std::shared_ptr<const Session> session_from(const Napi::Value& value, const std::string& name);

 private:
  Napi::Value assigned(const Napi::CallbackInfo& info);
  Napi::Value run(const Napi::CallbackInfo& info);
  void dispose_it(const Napi::CallbackInfo& info) { dispose(info); }
};

}  // namespace tr0n::addon
