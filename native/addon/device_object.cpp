#include "addon/device_object.h"

#include "cuda/images.h"
#include "cuda/inventory.h"
#include "cuda/modules.h"

namespace tr0n::addon {
namespace {

Napi::Value text_or_null(Napi::Env env, const std::string& text) {
  return text.empty() ? env.Null() : Napi::String::New(env, text);
}

Napi::Value resolve(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::String::New(info.Env(), cuda::resolve_device(read_text(info[0], "device")));
  });
}

/// The embedded images: { file: ["compute_80 (PTX)", "sm_90", …] }
Napi::Object describe_images(Napi::Env env) {
  Napi::Object files = Napi::Object::New(env);
  const cuda::Images embedded = cuda::images();
  for (size_t i = 0; i < embedded.count; ++i) {
    const cuda::Image& image = embedded.first[i];
    if (!files.Has(image.file)) files.Set(image.file, Napi::Array::New(env));
    auto list = files.Get(image.file).As<Napi::Array>();
    list.Set(list.Length(), cuda::describe(image));
  }
  return files;
}

Napi::Value inventory(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    const cuda::Inventory found = cuda::inventory();
    Napi::Array devices = Napi::Array::New(env);
    for (const cuda::DeviceSummary& device : found.devices) {
      Napi::Object entry = Napi::Object::New(env);
      entry.Set("id", "cuda:" + std::to_string(device.index));
      entry.Set("name", device.name);
      entry.Set("memory", static_cast<double>(device.memory));
      entry.Set("computeCapability", cuda::capability_text(device.compute_capability));
      entry.Set("multiprocessors", device.multiprocessors);
      entry.Set("problem", text_or_null(env, device.problem));
      devices.Set(devices.Length(), entry);
    }
    Napi::Object result = Napi::Object::New(env);
    result.Set("driver", found.driver);
    result.Set("version", text_or_null(env, found.version > 0 ? cuda::version_text(found.version) : ""));
    result.Set("problem", text_or_null(env, found.problem));
    result.Set("emulated", found.emulated);
    result.Set("devices", devices);
    result.Set("kernels", cuda::images().origin);
    result.Set("images", describe_images(env));
    return result;
  });
}

}  // namespace

Napi::Function DeviceObject::define(Napi::Env env) {
  return DefineClass(env, "NativeDevice",
                     {InstanceMethod<&DeviceObject::probe>("probe", napi_enumerable),
                      InstanceMethod<&DeviceObject::dispose_it>("dispose", napi_enumerable)});
}

DeviceObject::DeviceObject(const Napi::CallbackInfo& info) : NativeObject(info) {
  info.This().As<Napi::Object>().Set("id", live()->reference->name());
}

Napi::Value DeviceObject::open(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::string name = read_text(info[0], "device");
    const auto work = [name](Job&) -> MakeValue {
      auto device =
          std::make_shared<CountedDevice>(std::make_shared<DeviceReference>(cuda::resolve_device(name)));
      device->reference->get();
      return [device](Napi::Env env) -> Napi::Value { return make(env, device, 0); };
    };
    return Environment::of(info.Env()).start({}, Napi::Value(), work);
  });
}

Napi::Value DeviceObject::probe(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto work = [device = live()](Job&) -> MakeValue {
      const auto gpu = device->reference->gpu();
      if (!gpu) return [](Napi::Env env) { return env.Null(); };
      const auto found = std::make_shared<cuda::Probe>(gpu->probe());
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

void define_device_functions(Napi::Env env, Napi::Object exports) {
  exports.Set("resolveDevice", Napi::Function::New<resolve>(env, "resolveDevice"));
  exports.Set("cudaInventory", Napi::Function::New<inventory>(env, "cudaInventory"));
  exports.Set("openDevice", Napi::Function::New<DeviceObject::open>(env, "openDevice"));
}

}  // namespace tr0n::addon
