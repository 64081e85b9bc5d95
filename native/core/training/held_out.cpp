#include <algorithm>
#include <memory>
#include <vector>

#include "core/training/checks.h"
#include "core/training/condition_sampler.h"
#include "core/training/relaxed_loss.h"
#include "core/training/trainer.h"
#include "core/translator/pass.h"

namespace tr0n {
namespace {

constexpr uint32_t kHeldOutStream = 1;  // training pairs use stream 0

}  // namespace

HeldOut Trainer::held_out(const Translator& translator, const TrainerConfig& config, const float* z,
                          const float* c, const float* y, size_t n, Objective* objective,
                          CancelToken& cancel) {
  const TranslatorConfig& sizes = translator.config();
  check_held_out(sizes, config, z, c, y, n, objective);
  const size_t m = sizes.condition, d = sizes.latent, capacity = TranslatorPass::rows_of(sizes, n);
  ConditionSampler conditions(translator.device(), config, capacity, m);
  Mirror<float> batch(translator.device(), capacity * m);
  Mirror<Chain> chains(translator.device(), capacity);
  Buffer<float> logits(translator.device(), capacity * sizes.components),
      means(translator.device(), logits.size() * d), latents(translator.device(), capacity * d),
      heads(translator.device(), capacity * sizes.auxiliary);
  Buffer<double> errors(translator.device(), capacity);
  std::vector<double> losses(capacity);
  std::vector<float> given(heads.size());
  TranslatorPass pass(translator, capacity, TranslatorPass::Purpose::inference);
  std::unique_ptr<RelaxedLoss> relaxed;
  if (config.loss == Loss::relaxed)
    relaxed = std::make_unique<RelaxedLoss>(translator.device(), sizes, *objective, capacity,
                                            config.auxiliary_begin, static_cast<double>(config.temperature),
                                            config.seed);
  const Kernels& kernels = translator.device().kernels();
  HeldOut result;
  result.residuals.assign(y != nullptr ? sizes.auxiliary : 0, 0.0);
  double sum = 0;
  for (size_t begin = 0; begin < n; begin += capacity) {
    cancel.throw_if_cancelled();
    const size_t count = std::min(capacity, n - begin);
    std::copy_n(c + begin * m, count * m, batch.host());
    for (size_t i = 0; i < count; ++i) chains.host()[i] = {kHeldOutStream, static_cast<uint32_t>(begin + i)};
    batch.push(count * m);
    chains.push(count);
    latents.upload(z + begin * d, count * d);
    conditions.apply(chains.device(), 0, count, batch.device());
    pass.forward(batch.device(), count, logits.data(), means.data(), heads.data());
    const MixtureView q = pass.view(count, logits.data(), means.data());
    double sign = 1;
    if (relaxed) {
      relaxed->prepare(chains.host(), 0, c + begin * m, cancel);
      relaxed->evaluate(q, heads.data(), sizes.bound, 1, errors.data(), {});
    } else if (sizes.deterministic) {
      kernels.loss->squared_error({count, d, means.data(), latents.data(), 1, 0, errors.data(), nullptr});
    } else {
      kernels.mixture->log_density({q, nullptr, latents.data(), count, errors.data()});
      sign = -1;
    }
    errors.download(losses.data(), count);
    for (size_t i = 0; i < count; ++i) sum += sign * losses[i];
    if (y == nullptr) continue;
    heads.download(given.data(), count * sizes.auxiliary);
    for (size_t i = 0; i < count * sizes.auxiliary; ++i) {
      const double error =
          static_cast<double>(y[begin * sizes.auxiliary + i]) - static_cast<double>(given[i]);
      result.residuals[i % sizes.auxiliary] += error * error / static_cast<double>(n);
    }
  }
  result.loss = sum / static_cast<double>(n);
  return result;
}

}  // namespace tr0n
