#include "addon/device_object.h"

#include "device/registry.h"

namespace tr0n::addon {
namespace {

Napi::Value text_or_null(Napi::Env env, const std::string& text) {
  return text.empty() ? env.Null() : Napi::String::New(env, text);
}

Napi::Value resolve(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::String::New(info.Env(), resolve_device(read_text(info[0], "device")));
  });
}

Napi::Object describe_devices(Napi::Env env, const DeviceKind& kind) {
  const Inventory found = kind.inventory();
  Napi::Array devices = Napi::Array::New(env);
  for (const DeviceSummary& device : found.devices) {
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("id", std::string(kind.name()) + ":" + std::to_string(device.index));
    entry.Set("name", device.name);
    entry.Set("memory", static_cast<double>(device.memory));
    entry.Set("computeCapability", device.compute_capability);
    entry.Set("multiprocessors", device.multiprocessors);
    entry.Set("problem", text_or_null(env, device.problem));
    devices.Set(devices.Length(), entry);
  }
  Napi::Object images = Napi::Object::New(env);
  for (const auto& [file, descriptions] : found.images) {
    Napi::Array list = Napi::Array::New(env);
    for (const std::string& text : descriptions) list.Set(list.Length(), text);
    images.Set(file, list);
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("kind", kind.name());
  result.Set("driver", found.driver);
  result.Set("version", text_or_null(env, found.version));
  result.Set("problem", text_or_null(env, found.problem));
  result.Set("emulated", found.emulated);
  result.Set("devices", devices);
  result.Set("kernels", found.kernels);
  result.Set("images", images);
  return result;
}

Napi::Value inventories(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    Napi::Array list = Napi::Array::New(info.Env());
    for (const DeviceKind* kind : device_kinds())
      list.Set(list.Length(), describe_devices(info.Env(), *kind));
    return list;
  });
}

}  // namespace

Napi::Function DeviceObject::define(Napi::Env env) {
  return DefineClass(env, "NativeDevice",
                     {InstanceMethod<&DeviceObject::probe>("probe", napi_enumerable),
                      InstanceMethod<&DeviceObject::memory>("memory", napi_enumerable),
                      InstanceMethod<&DeviceObject::dispose_it>("dispose", napi_enumerable)});
}

DeviceObject::DeviceObject(const Napi::CallbackInfo& info) : NativeObject(info) {
  info.This().As<Napi::Object>().Set("id", live()->reference->name());
}

Napi::Value DeviceObject::open(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::string name = read_text(info[0], "device");
    const auto work = [name](Job&) -> MakeValue {
      auto device = std::make_shared<CountedDevice>(std::make_shared<DeviceReference>(resolve_device(name)));
      device->reference->get();
      return [device](Napi::Env env) -> Napi::Value { return make(env, device, 0); };
    };
    return Environment::of(info.Env()).start({}, Napi::Value(), work);
  });
}

Napi::Value DeviceObject::probe(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto work = [device = live()](Job&) -> MakeValue {
      const auto found = device->reference->get().probe();
      if (!found) return [](Napi::Env env) { return env.Null(); };
      return [found](Napi::Env env) -> Napi::Value {
        Napi::Object images = Napi::Object::New(env);
        for (const auto& [file, image] : found->images) images.Set(file, image);
        Napi::Object result = Napi::Object::New(env);
        result.Set("kernels", static_cast<double>(found->kernels));
        result.Set("images", images);
        return result;
      };
    };
    return Environment::of(info.Env()).start({}, Napi::Value(), work);
  });
}

Napi::Value DeviceObject::memory(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto work = [device = live()](Job&) -> MakeValue {
      const auto found = device->reference->get().memory();
      if (!found) return [](Napi::Env env) { return env.Null(); };
      return [found](Napi::Env env) -> Napi::Value {
        Napi::Object result = Napi::Object::New(env);
        result.Set("free", static_cast<double>(found->free));
        result.Set("total", static_cast<double>(found->total));
        return result;
      };
    };
    return Environment::of(info.Env()).start({}, Napi::Value(), work);
  });
}

void define_device_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("resolveDevice", Napi::Function::New<resolve>(env, "resolveDevice"));
  exports.Set("deviceInventories", Napi::Function::New<inventories>(env, "deviceInventories"));
  exports.Set("openDevice", Napi::Function::New<DeviceObject::open>(env, "openDevice"));
}

}  // namespace tr0n::addon
