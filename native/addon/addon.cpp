#include <napi.h>

#include "addon/augmentation_arguments.h"
#include "addon/block_rules.h"
#include "addon/config_fields.h"
#include "addon/covariance_function.h"
#include "addon/device_object.h"
#include "addon/environment.h"
#include "addon/evaluate_functions.h"
#include "addon/measure_functions.h"
#include "addon/objective_object.h"
#include "addon/prior_arguments.h"
#include "addon/process_functions.h"
#include "addon/provider_functions.h"
#include "addon/row_functions.h"
#include "addon/row_map_object.h"
#include "addon/sample_function.h"
#include "addon/session_object.h"
#include "addon/simplify_function.h"
#include "addon/torch_model_object.h"
#include "addon/trainer_object.h"
#include "addon/translator_object.h"

namespace tr0n::addon {
namespace {

/// Once per JavaScript environment.
Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  pin_library();
  auto* environment = new Environment(env);
  env.SetInstanceData(environment);
  environment->session = Napi::Persistent(SessionObject::define(env));
  environment->translator = Napi::Persistent(TranslatorObject::define(env));
  environment->trainer = Napi::Persistent(TrainerObject::define(env));
  environment->objective = Napi::Persistent(ObjectiveObject::define(env));
  environment->row_map = Napi::Persistent(RowMapObject::define(env));
  environment->torch_model = Napi::Persistent(TorchModelObject::define(env));
  environment->device = Napi::Persistent(DeviceObject::define(env));
  define_process_functions(env, exports);
  define_measure_functions(env, exports);
  define_device_functions(env, exports);
  define_provider_functions(env, exports);
  define_block_rules(env, exports);
  exports.Set("configFields", Napi::Function::New<config_fields>(env, "configFields"));
  define_row_functions(env, exports);
  define_evaluate_functions(env, exports);
  exports.Set("openSession", Napi::Function::New<SessionObject::open>(env, "openSession"));
  exports.Set("hasExternalData",
              Napi::Function::New<SessionObject::has_external_data>(env, "hasExternalData"));
  exports.Set("openTorchModel", Napi::Function::New<TorchModelObject::open>(env, "openTorchModel"));
  exports.Set("simplify", Napi::Function::New<simplify_job>(env, "simplify"));
  exports.Set("createTranslator", Napi::Function::New<TranslatorObject::create>(env, "createTranslator"));
  exports.Set("createTrainer", Napi::Function::New<TrainerObject::create>(env, "createTrainer"));
  exports.Set("createObjective", Napi::Function::New<ObjectiveObject::create>(env, "createObjective"));
  exports.Set("createAugmentedObjective",
              Napi::Function::New<ObjectiveObject::create_augmented>(env, "createAugmentedObjective"));
  exports.Set("drawAugmentation", Napi::Function::New<augmentation_parameters>(env, "drawAugmentation"));
  exports.Set("createRowMap", Napi::Function::New<RowMapObject::create>(env, "createRowMap"));
  exports.Set("sample", Napi::Function::New<sample_job>(env, "sample"));
  exports.Set("drawPrior", Napi::Function::New<draw_prior_job>(env, "drawPrior"));
  exports.Set("covariance", Napi::Function::New<covariance_job>(env, "covariance"));
  exports.Set("priorEntropy", Napi::Function::New<prior_entropy>(env, "priorEntropy"));
  return exports;
}

}  // namespace
}  // namespace tr0n::addon

static Napi::Object initialise_tr0n(Napi::Env env, Napi::Object exports) {
  return tr0n::addon::initialise(env, exports);
}

NODE_API_MODULE(tr0n, initialise_tr0n)
