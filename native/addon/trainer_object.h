#pragma once
#include <atomic>
#include <cstdint>
#include <memory>

#include "addon/counters.h"
#include "addon/native_object.h"
#include "addon/shared_translator.h"
#include "core/training/trainer.h"

namespace tr0n::addon {

/// A trainer with a translator of its own: a run starts from the shared translator's values and gives its own
/// back at the end, however it ends. Samples taken meanwhile see the values from before.
class SharedTrainer {
 public:
  SharedTrainer(std::shared_ptr<SharedTranslator> shared, const TrainerConfig& config,
                const ArrayInput<float>& z, const ArrayInput<float>& c, const ArrayInput<float>& y, size_t n,
                std::shared_ptr<Objective> objective);
  size_t steps() const { return steps_; }
  size_t step() const { return step_.load(); }
  Objective* objective() { return objective_.get(); }
  const TrainerConfig& config() const { return config_; }
  SharedTranslator& translator() { return *shared_; }
  TrainerProgress run(size_t count, Job& job);

  /// Everything but steps() and step() belongs to the run while there is one.
  class Use;
  /// Made at the first use, in a job: it looks at every pair and allocates several times the parameters.
  Trainer& trainer();
  void moved() { step_.store(trainer().step()); }

 private:
  std::shared_ptr<SharedTranslator> shared_;
  Placement placement_;  ///< before what lives on the device
  std::unique_ptr<Translator> own_;
  uint64_t own_revision_ = 0;  ///< of the shared parameters, which `own_` has
  std::vector<float> spare_;   ///< memory for the next copy
  TrainerConfig config_;
  ArrayInput<float> z_, c_, y_;
  size_t n_, steps_;
  std::shared_ptr<Objective> objective_;  ///< null unless the loss is relaxed
  std::unique_ptr<Trainer> trainer_;
  std::atomic<size_t> step_{0};
  std::atomic<bool> busy_{false};
  Live live_{Kind::trainer};
};

/// Exclusive use; throws ERR_INVALID_ARGUMENT while somebody else has it.
class SharedTrainer::Use {
 public:
  Use(std::shared_ptr<SharedTrainer> trainer, const char* what);
  ~Use() { trainer_->busy_.store(false); }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;
  SharedTrainer* operator->() const { return trainer_.get(); }

 private:
  std::shared_ptr<SharedTrainer> trainer_;
};

/// NativeTrainer of lib/native/types.
class TrainerObject : public NativeObject<TrainerObject, SharedTrainer> {
 public:
  static constexpr const char* kName = "trainer";
  static constexpr napi_type_tag kTag = {0x7472306e00000005, 0x8d1b2a6c4f5e7005};
  static Napi::FunctionReference& class_of(Environment& environment) { return environment.trainer; }
  static Napi::Function define(Napi::Env env);
  /// NativeBinding.createTrainer
  static Napi::Value create(const Napi::CallbackInfo& info);
  explicit TrainerObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value run(const Napi::CallbackInfo& info);
  Napi::Value step(const Napi::CallbackInfo& info);
  Napi::Value state(const Napi::CallbackInfo& info);
  Napi::Value set_state(const Napi::CallbackInfo& info);
  Napi::Value held_out(const Napi::CallbackInfo& info);
  void dispose_it(const Napi::CallbackInfo& info);
  /// More references to the pairs, for a job: it outlives a dispose().
  Environment::Kept keep_pairs();

  /// The references to the pairs, which the trainer reads in place. Shared with running jobs; let go of on
  /// the JavaScript thread only.
  std::shared_ptr<Environment::Kept> pairs_;
};

}  // namespace tr0n::addon
