#pragma once
#include <napi.h>

#include <memory>
#include <string>
#include <utility>

#include "addon/arguments.h"
#include "addon/environment.h"
#include "addon/errors.h"

namespace tr0n::addon {

/// A JavaScript object over a shared native one. Jobs share it too, so dispose() only lets go: what is
/// running keeps what it uses. `Derived` has `Shared` (the native state), kName, kTag and
/// class_of(Environment&).
template <class Derived, class Shared>
class NativeObject : public Napi::ObjectWrap<Derived> {
 public:
  explicit NativeObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Derived>(info) {
    // Only make() has an External to give; JavaScript cannot build one of these itself.
    if (info.Length() != 1 || !info[0].IsExternal())
      throw_js(info.Env(), "ERR_INVALID_ARGUMENT", std::string(Derived::kName) + " cannot be constructed");
    shared_ = *info[0].As<Napi::External<std::shared_ptr<Shared>>>().Data();
    info.This().As<Napi::Object>().TypeTag(&Derived::kTag);
  }
  ~NativeObject() override = default;

  static Napi::Object make(Napi::Env env, std::shared_ptr<Shared> shared, size_t bytes) {
    const auto external = Napi::External<std::shared_ptr<Shared>>::New(env, &shared);
    Napi::Object object = Derived::class_of(Environment::of(env)).New({external});
    Derived::Unwrap(object)->account(env, static_cast<int64_t>(bytes));
    return object;
  }

  /// The native object behind an argument; refuses other objects and disposed ones.
  static std::shared_ptr<Shared> from(const Napi::Value& value, const std::string& name) {
    if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&Derived::kTag))
      throw_invalid(name, std::string("a ") + Derived::kName, value);
    return Derived::Unwrap(value.As<Napi::Object>())->live(name);
  }

 protected:
  std::shared_ptr<Shared> live(const std::string& name) const {
    if (!shared_) throw Error("ERR_DISPOSED", name + ": this " + Derived::kName + " has been disposed of");
    return shared_;
  }
  std::shared_ptr<Shared> live() const { return live("this"); }

  /// Idempotent.
  void dispose(const Napi::CallbackInfo& info) {
    shared_.reset();
    account(info.Env(), -bytes_);
  }

  void Finalize(Napi::Env env) override { account(env, -bytes_); }

 private:
  /// Tells the garbage collector what this small object keeps alive outside its heap.
  void account(Napi::Env env, int64_t change) {
    bytes_ += change;
    if (change != 0) Napi::MemoryManagement::AdjustExternalMemory(env, change);
  }
  std::shared_ptr<Shared> shared_;
  int64_t bytes_ = 0;
};

}  // namespace tr0n::addon
