#pragma once
#include "addon/counters.h"
#include "addon/native_object.h"
#include "bridge/model_objective.h"

namespace tr0n::addon {

struct CountedObjective {
  explicit CountedObjective(std::shared_ptr<ModelObjective> from) : models(from), owner(std::move(from)) {}
  CountedObjective(std::shared_ptr<ModelObjective> from, std::shared_ptr<Objective> whole)
      : models(std::move(from)), owner(std::move(whole)) {}
  const std::shared_ptr<ModelObjective> models;  ///< what runs the encoder
  const std::shared_ptr<Objective> owner;
  Objective& objective = *owner;
  Live live{Kind::objective};
};

/// NativeObjective of lib/native/types.
class ObjectiveObject : public NativeObject<ObjectiveObject, CountedObjective> {
 public:
  static constexpr const char* kName = "objective";
  static constexpr napi_type_tag kTag = {0x7472306e00000002, 0x8d1b2a6c4f5e7002};
  static Napi::FunctionReference& class_of(Environment& environment) { return environment.objective; }
  static Napi::Function define(Napi::Env env);
  /// NativeBinding.createObjective
  static Napi::Value create(const Napi::CallbackInfo& info);
  /// NativeBinding.createAugmentedObjective
  static Napi::Value create_augmented(const Napi::CallbackInfo& info);
  using NativeObject::NativeObject;

 private:
  Napi::Value energy(const Napi::CallbackInfo& info) { return evaluate_rows(info, false); }
  Napi::Value evaluate(const Napi::CallbackInfo& info) { return evaluate_rows(info, true); }
  Napi::Value evaluate_rows(const Napi::CallbackInfo& info, bool gradient);
  Napi::Value blocks(const Napi::CallbackInfo& info);
  void dispose_it(const Napi::CallbackInfo& info) { dispose(info); }
};

/// fixedBatch, maxBatch, and what lib/native/types calls NativeRowFacts.
RowLimits read_limits(const Fields& fields);
/// { granularity, rows }
Napi::Value to_rule(Napi::Env env, const BlockRule& rule);

}  // namespace tr0n::addon
