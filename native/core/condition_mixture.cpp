#include "core/condition_mixture.h"

#include <algorithm>

#include "core/translator_pass.h"

namespace tr0n {

ConditionMixture::ConditionMixture(const Translator& translator, const float* conditions, size_t count)
    : logits_(translator.device(), count * translator.config().components),
      means_(translator.device(), logits_.size() * translator.config().latent) {
  constexpr size_t max_rows = 1024;
  const TranslatorConfig& config = translator.config();
  const size_t rows = std::min(max_rows, count), m = config.condition;
  TranslatorPass pass(translator, rows, TranslatorPass::Purpose::inference);
  Buffer<float> c(translator.device(), rows * m), y(translator.device(), rows * config.auxiliary);
  for (size_t begin = 0; begin < count; begin += rows) {
    const size_t n = std::min(rows, count - begin);
    c.upload(conditions + begin * m, n * m);
    pass.forward(c.data(), n, logits_.data() + begin * config.components,
                 means_.data() + begin * config.components * config.latent, y.data());
  }
  view_ = pass.view(count, logits_.data(), means_.data());
}

std::vector<float> ConditionMixture::logits() const {
  std::vector<float> result(logits_.size());
  logits_.download(result.data(), result.size());
  return result;
}

std::vector<float> ConditionMixture::means(size_t condition) const {
  std::vector<float> result(view_.components * view_.latent);
  means_.download(result.data(), result.size(), condition * result.size());
  return result;
}

}  // namespace tr0n
