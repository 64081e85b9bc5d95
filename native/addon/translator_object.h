#pragma once
#include "addon/native_object.h"
#include "addon/shared_translator.h"

namespace tr0n::addon {

/// NativeTranslator of lib/native/types.
class TranslatorObject : public NativeObject<TranslatorObject, SharedTranslator> {
 public:
  static constexpr const char* kName = "translator";
  static constexpr napi_type_tag kTag = {0x7472306e00000004, 0x8d1b2a6c4f5e7004};
  static Napi::FunctionReference& class_of(Environment& environment) { return environment.translator; }
  static Napi::Function define(Napi::Env env);
  /// NativeBinding.createTranslator
  static Napi::Value create(const Napi::CallbackInfo& info);
  explicit TranslatorObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value values(const Napi::CallbackInfo& info);
  Napi::Value copy_values(const Napi::CallbackInfo& info);
  void set_values(const Napi::CallbackInfo& info);
  Napi::Value assign_values(const Napi::CallbackInfo& info);
  Napi::Value calibrate(const Napi::CallbackInfo& info);
  Napi::Value forward(const Napi::CallbackInfo& info);
  Napi::Value log_density(const Napi::CallbackInfo& info);
  Napi::Value draw(const Napi::CallbackInfo& info);
  Napi::Value loss(const Napi::CallbackInfo& info);
  void dispose_it(const Napi::CallbackInfo& info) { dispose(info); }
};

}  // namespace tr0n::addon
