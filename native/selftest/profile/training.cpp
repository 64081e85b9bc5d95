#include "core/training/trainer.h"
#include "selftest/inputs.h"
#include "selftest/profile/workloads.h"

namespace tr0n::selftest {

Workload training_step(const Sizes& sizes, size_t batch, Precision precision) {
  TranslatorConfig shape;
  shape.condition = sizes.condition;
  shape.hidden = sizes.hidden;
  shape.components = sizes.components;
  shape.latent = sizes.latent;
  shape.auxiliary = sizes.auxiliary;
  shape.initial_log_std = -4.6f;  // the official log 0.01
  size_t parameters = 0;
  for (const Parameter& parameter : parameter_layout(shape)) parameters += parameter.size;

  Workload workload{"training step", batch, precision, parameters, nullptr};
  workload.run = [=](Device& device, const auto& measured) {
    Translator translator(device, shape, 1);
    translator.set_precision(precision);
    TrainerConfig config;
    config.epochs = 3;
    config.batch = batch;
    config.learning_rate = 1e-4f;
    config.alpha = 1e-4f;
    config.noise = ConditionNoiseKind::isotropic;
    config.noise_scale = 0.5f;
    const std::vector<float> z = normals(batch * shape.latent, 1), c = normals(batch * shape.condition, 2),
                             y = normals(batch * shape.auxiliary, 3);
    Trainer trainer(translator, config, z.data(), c.data(), y.data(), batch);
    CancelToken cancel;
    measured([&] { trainer.run(1, cancel, nullptr); });
  };
  return workload;
}

}  // namespace tr0n::selftest
