#include "addon/trainer_object.h"

#include "addon/config_fields.h"
#include "addon/objective_object.h"
#include "addon/results.h"
#include "addon/translator_object.h"

namespace tr0n::addon {
namespace {

TrainerConfig read_trainer_config(const Napi::Value& value, size_t m) {
  const Fields fields(value, "config");
  auto config = read_config<TrainerConfig>(fields);
  if (config.noise == ConditionNoiseKind::covariance) {
    InputReader reader;
    const auto covariance = reader.read<float>(fields.get("noiseCovariance"), fields.path("noiseCovariance"),
                                               product({m, m}, fields.path("noiseCovariance")));
    config.noise_covariance.assign(covariance.data, covariance.data + covariance.size);
  }
  return config;
}

Napi::Value to_progress(Napi::Env env, const TrainerProgress& progress) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("step", static_cast<double>(progress.step));
  object.Set("steps", static_cast<double>(progress.steps));
  object.Set("epoch", static_cast<double>(progress.epoch));
  object.Set("loss", progress.loss);
  object.Set("learningRate", progress.learning_rate);
  object.Set("gradientNorm", progress.gradient_norm);
  return object;
}

}  // namespace

SharedTrainer::SharedTrainer(std::shared_ptr<SharedTranslator> shared, const TrainerConfig& config,
                             const ArrayInput<float>& z, const ArrayInput<float>& c,
                             const ArrayInput<float>& y, size_t n, std::shared_ptr<Objective> objective)
    : shared_(std::move(shared)),
      config_(config),
      z_(z),
      c_(c),
      y_(y),
      n_(n),
      steps_(Trainer::steps(config, n)),
      objective_(std::move(objective)) {}

Trainer& SharedTrainer::trainer() {
  if (!trainer_) {
    own_revision_ = shared_->revision();
    const auto version = shared_->current();
    const std::vector<float> values = version->values();
    placement_ = version->placement();
    own_ = std::make_unique<Translator>(placement_.device->get(), version->config(), values.data(),
                                        values.size());
    own_->set_precision(placement_.precision);
    trainer_ = std::make_unique<Trainer>(*own_, config_, z_.data, c_.data, y_.data, n_, objective_.get());
  }
  return *trainer_;
}

TrainerProgress SharedTrainer::run(size_t count, Job& job) {
  Trainer& trainer = this->trainer();
  // Steps may be asked for one at a time: parameters that are known are not copied again.
  if (const uint64_t revision = shared_->revision(); revision != own_revision_) {
    const std::vector<float> before = shared_->current()->values();
    own_->set_values(before.data(), before.size());
    own_revision_ = revision;
  }
  const auto publish = [&] {
    spare_.resize(own_->parameter_count());
    own_->copy_values(spare_.data());
    own_revision_ = shared_->set_values(std::move(spare_), &spare_);
    moved();
  };
  TrainerProgress last;
  last.step = trainer.step();
  last.steps = trainer.steps();
  try {
    trainer.run(count, job.token(), [&](const TrainerProgress& progress) {
      last = progress;
      step_.store(progress.step);
      job.report([progress](Napi::Env env) { return to_progress(env, progress); });
    });
  } catch (...) {
    try {
      publish();
    } catch (const Error&) {
      // A device that is lost gives nothing back: the translator is as before this run. What stopped it is
      // the news.
      own_revision_ = UINT64_MAX;
    }
    throw;
  }
  publish();
  return last;
}

SharedTrainer::Use::Use(std::shared_ptr<SharedTrainer> trainer, const char* what)
    : trainer_(std::move(trainer)) {
  if (trainer_->busy_.exchange(true))
    throw Error("ERR_INVALID_ARGUMENT",
                std::string(what) + ": expected an idle trainer, but a run is in progress");
}

Napi::Function TrainerObject::define(Napi::Env env) {
  return DefineClass(env, "NativeTrainer",
                     {InstanceMethod<&TrainerObject::run>("run", napi_enumerable),
                      InstanceMethod<&TrainerObject::step>("step", napi_enumerable),
                      InstanceMethod<&TrainerObject::state>("state", napi_enumerable),
                      InstanceMethod<&TrainerObject::set_state>("setState", napi_enumerable),
                      InstanceMethod<&TrainerObject::held_out>("heldOut", napi_enumerable),
                      InstanceMethod<&TrainerObject::dispose_it>("dispose", napi_enumerable)});
}

TrainerObject::TrainerObject(const Napi::CallbackInfo& info) : NativeObject(info) {
  info.This().As<Napi::Object>().Set("steps", static_cast<double>(live()->steps()));
}

Napi::Value TrainerObject::create(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto translator = TranslatorObject::from(info[0], "translator");
    const TranslatorConfig shape = translator->current()->config();
    const TrainerConfig config = read_trainer_config(info[1], shape.condition);
    const size_t n = read_size(info[5], "n");
    InputReader reader;
    const auto z = reader.read<float>(info[2], "z", product({n, shape.latent}, "z"));
    const auto c = reader.read<float>(info[3], "c", product({n, shape.condition}, "c"));
    ArrayInput<float> y;
    if (shape.auxiliary > 0) {
      y = reader.read<float>(info[4], "y", product({n, shape.auxiliary}, "y"));
    } else if (!absent(info[4])) {
      throw_invalid("y", "null for a translator without an auxiliary head", info[4]);
    }
    std::shared_ptr<Objective> objective;
    if (config.loss == Loss::relaxed) {
      const auto counted = ObjectiveObject::from(info[6], "objective");
      objective = {counted, &counted->objective};
    }
    auto trainer = std::make_shared<SharedTrainer>(translator, config, z, c, y, n, std::move(objective));
    // The translator's copy and two moments, and the pairs where they are copies.
    size_t numbers = 3 * translator->current()->parameter_count();
    for (const ArrayInput<float>* pairs : std::initializer_list<const ArrayInput<float>*>{&z, &c, &y})
      if (pairs->copy) numbers += pairs->size;
    const size_t bytes = sizeof(float) * numbers;
    Napi::Object object = make(info.Env(), std::move(trainer), bytes);
    Unwrap(object)->pairs_ = std::make_shared<Environment::Kept>(reader.finish());
    return object;
  });
}

Napi::Value TrainerObject::run(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const size_t count = read_size(info[0], "count", 0);
    if (!absent(info[1]) && !info[1].IsFunction()) throw_invalid("onProgress", "a function", info[1]);
    // In the work's hands: it is let go of when the work is, also where that never begins.
    const auto use = std::make_shared<SharedTrainer::Use>(live(), "run");
    const auto work = [use, count](Job& job) -> MakeValue {
      const TrainerProgress last = (*use)->run(count, job);
      return [last](Napi::Env env) { return to_progress(env, last); };
    };
    return Environment::of(info.Env()).start(keep_pairs(), info[1], work);
  });
}

Environment::Kept TrainerObject::keep_pairs() {
  Environment::Kept kept;
  if (pairs_)
    for (Napi::ObjectReference& pair : *pairs_) kept.push_back(Napi::Persistent(pair.Value()));
  return kept;
}

Napi::Value TrainerObject::step(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::Number::New(info.Env(), static_cast<double>(live()->step()));
  });
}

Napi::Value TrainerObject::state(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto use = std::make_shared<SharedTrainer::Use>(live(), "state");
    const auto work = [use](Job&) -> MakeValue {
      auto values = std::make_shared<std::vector<float>>((*use)->translator().current()->values());
      auto state = std::make_shared<TrainerState>((*use)->trainer().state());
      return [values, state](Napi::Env env) -> Napi::Value {
        Napi::Object result = Napi::Object::New(env);
        result.Set("step", static_cast<double>(state->step));
        result.Set("values", to_array(env, std::move(*values)));
        result.Set("firstMoment", to_array(env, std::move(state->first_moment)));
        result.Set("secondMoment", to_array(env, std::move(state->second_moment)));
        return result;
      };
    };
    return Environment::of(info.Env()).start(keep_pairs(), Napi::Value(), work);
  });
}

Napi::Value TrainerObject::set_state(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto use = std::make_shared<SharedTrainer::Use>(live(), "setState");
    const Fields fields(info[0], "state");
    const size_t count = (*use)->translator().current()->parameter_count();
    InputReader reader;
    const auto values = reader.read<float>(fields.get("values"), fields.path("values"), count);
    const auto first = reader.read<float>(fields.get("firstMoment"), fields.path("firstMoment"), count);
    const auto second = reader.read<float>(fields.get("secondMoment"), fields.path("secondMoment"), count);
    const size_t step = fields.size("step", 0, (*use)->steps());
    const auto work = [use, values, first, second, step, count](Job&) -> MakeValue {
      TrainerState state;
      state.step = step;
      state.first_moment.assign(first.data, first.data + count);
      state.second_moment.assign(second.data, second.data + count);
      (*use)->trainer().set_state(state);
      (*use)->translator().set_values({values.data, values.data + count});
      (*use)->moved();
      return [](Napi::Env env) { return env.Undefined(); };
    };
    Environment::Kept kept = keep_pairs();
    for (Napi::ObjectReference& input : reader.finish()) kept.push_back(std::move(input));
    return Environment::of(info.Env()).start(std::move(kept), Napi::Value(), work);
  });
}

Napi::Value TrainerObject::held_out(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto trainer = live();
    const auto translator = trainer->translator().current();
    const size_t n = read_size(info[3], "n");
    InputReader reader;
    const auto z = reader.read<float>(info[0], "z", product({n, translator->config().latent}, "z"));
    const auto c = reader.read<float>(info[1], "c", product({n, translator->config().condition}, "c"));
    ArrayInput<float> y;
    if (!absent(info[2]))
      y = reader.read<float>(info[2], "y", product({n, translator->config().auxiliary}, "y"));
    const auto work = [trainer, translator, z, c, y, n](Job& job) -> MakeValue {
      auto held_out =
          std::make_shared<HeldOut>(Trainer::held_out(translator->get(), trainer->config(), z.data, c.data,
                                                      y.data, n, trainer->objective(), job.token()));
      return [held_out](Napi::Env env) -> Napi::Value {
        Napi::Object result = Napi::Object::New(env);
        result.Set("loss", held_out->loss);
        result.Set("residuals", to_array(env, std::move(held_out->residuals)));
        return result;
      };
    };
    return Environment::of(info.Env()).start(reader.finish(), Napi::Value(), work);
  });
}

void TrainerObject::dispose_it(const Napi::CallbackInfo& info) {
  dispose(info);
  pairs_.reset();
}

}  // namespace tr0n::addon
