#pragma once
#include "addon/counters.h"
#include "addon/native_object.h"
#include "bridge/model_row_map.h"

namespace tr0n::addon {

struct CountedRowMap {
  template <class... Arguments>
  explicit CountedRowMap(Arguments&&... arguments) : map(std::forward<Arguments>(arguments)...) {}
  ModelRowMap map;
  Live live{Kind::row_map};
};

/// NativeRowMap of lib/native/types.
class RowMapObject : public NativeObject<RowMapObject, CountedRowMap> {
 public:
  static constexpr const char* kName = "row map";
  static constexpr napi_type_tag kTag = {0x7472306e00000003, 0x8d1b2a6c4f5e7003};
  static Napi::FunctionReference& class_of(Environment& environment) { return environment.row_map; }
  static Napi::Function define(Napi::Env env);
  /// NativeBinding.createRowMap
  static Napi::Value create(const Napi::CallbackInfo& info);
  using NativeObject::NativeObject;

 private:
  Napi::Value run(const Napi::CallbackInfo& info);
  Napi::Value pairs(const Napi::CallbackInfo& info);
  Napi::Value blocks(const Napi::CallbackInfo& info);
  void dispose_it(const Napi::CallbackInfo& info) { dispose(info); }
};

}  // namespace tr0n::addon
