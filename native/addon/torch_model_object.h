#pragma once
#include "addon/counters.h"
#include "addon/native_object.h"
#include "bridge/torch_probe.h"

namespace tr0n::addon {

/// A TorchScript model with what its probe found.
struct CountedTorchModel {
  std::shared_ptr<const TorchModel> model;
  TorchInterface interface;
  GivenConstants constants;  ///< of which the interface has the form that they are fed in
  int threads = 1;
  Live live{Kind::torch_model};
};

/// NativeTorchModel of lib/native/types.
class TorchModelObject : public NativeObject<TorchModelObject, CountedTorchModel> {
 public:
  static constexpr const char* kName = "TorchScript model";
  static constexpr napi_type_tag kTag = {0x7472306e00000006, 0x8d1b2a6c4f5e7006};
  static Napi::FunctionReference& class_of(Environment& environment) { return environment.torch_model; }
  static Napi::Function define(Napi::Env env);
  /// NativeBinding.openTorchModel
  static Napi::Value open(const Napi::CallbackInfo& info);
  explicit TorchModelObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value run(const Napi::CallbackInfo& info);
  Napi::Value vjp(const Napi::CallbackInfo& info);
  Napi::Value with_features(const Napi::CallbackInfo& info);
  void dispose_it(const Napi::CallbackInfo& info) { dispose(info); }
};

}  // namespace tr0n::addon
