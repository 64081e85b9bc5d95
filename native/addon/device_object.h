#pragma once
#include "addon/counters.h"
#include "addon/device_reference.h"
#include "addon/native_object.h"

namespace tr0n::addon {

struct CountedDevice {
  explicit CountedDevice(std::shared_ptr<DeviceReference> given) : reference(std::move(given)) {}
  std::shared_ptr<DeviceReference> reference;
  Live live{Kind::device};
};

/// NativeDevice of lib/native/types: an open device, which stays open as long as this is not disposed
/// of.
class DeviceObject : public NativeObject<DeviceObject, CountedDevice> {
 public:
  static constexpr const char* kName = "device";
  static constexpr napi_type_tag kTag = {0x7472306e00000007, 0x8d1b2a6c4f5e7007};
  static Napi::FunctionReference& class_of(Environment& environment) { return environment.device; }
  static Napi::Function define(Napi::Env env);
  /// NativeBinding.openDevice
  static Napi::Value open(const Napi::CallbackInfo& info);
  explicit DeviceObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value probe(const Napi::CallbackInfo& info);
  Napi::Value memory(const Napi::CallbackInfo& info);
  void dispose_it(const Napi::CallbackInfo& info) { dispose(info); }
};

/// resolveDevice, cudaInventory.
void define_device_functions(Napi::Env env, Napi::Object exports);

}  // namespace tr0n::addon
