#include "core/translator/condition_mixture.h"

#include <algorithm>
#include <cmath>

#include "core/translator/pass.h"

namespace tr0n {
namespace {

/// s of a y that is only ever the head's: σ = e^s + 1e-6.
constexpr float kNoSpread = -30;

}  // namespace

ConditionMixture::ConditionMixture(const Translator& translator, const AuxiliaryPlace& place,
                                   const float* stds, const float* conditions, size_t count)
    : place_(place),
      latent_(translator.config().latent + place.size),
      logits_(translator.device(), count * translator.config().components),
      means_(translator.device(), logits_.size() * latent_),
      log_stds_(translator.device(), place.size == 0 || translator.config().deterministic ? 0
                                     : translator.config().component_stds
                                         ? translator.config().components * latent_
                                         : latent_),
      auxiliary_(count * place.size) {
  const TranslatorConfig& config = translator.config();
  const size_t rows = TranslatorPass::rows_of(config, count), m = config.condition,
               width = config.components * config.latent;
  TranslatorPass pass(translator, rows, TranslatorPass::Purpose::inference);
  Buffer<float> c(translator.device(), rows * m), y(translator.device(), rows * config.auxiliary),
      z_means(translator.device(), place.size > 0 ? rows * width : 0);
  std::vector<float> on_host(z_means.size());
  for (size_t begin = 0; begin < count; begin += rows) {
    const size_t n = std::min(rows, count - begin);
    c.upload(conditions + begin * m, n * m);
    pass.forward(c.data(), n, logits_.data() + begin * config.components,
                 place.size > 0 ? z_means.data() : means_.data() + begin * width, y.data());
    if (place.size == 0) continue;
    z_means.download(on_host.data(), n * width);
    y.download(auxiliary_.data() + begin * place.size, n * place.size);
    join_means(on_host.data(), begin, n);
  }
  view_ = pass.view(count, logits_.data(), means_.data());
  if (place.size == 0) return;
  view_.latent = latent_;
  if (config.deterministic) return;
  join_stds(translator, stds);
  view_.log_stds = log_stds_.data();
}

// On the host: once for a run, and little beside its first evaluation of f∘G.
void ConditionMixture::join_means(const float* z_means, size_t begin, size_t n) {
  const size_t d = latent_, z = d - place_.size,
               components = means_.size() / d / (auxiliary_.size() / place_.size);
  std::vector<float> joined(n * components * d);
  for (size_t row = 0; row < n * components; ++row)
    place_.join(z_means + row * z, auxiliary(begin + row / components), d, joined.data() + row * d);
  means_.upload(joined.data(), joined.size(), begin * components * d);
}

void ConditionMixture::join_stds(const Translator& translator, const float* stds) {
  const std::vector<Parameter>& parameters = translator.parameters();
  const auto own = std::find_if(parameters.begin(), parameters.end(),
                                [](const Parameter& p) { return p.name == "z_log_stds"; });
  const std::vector<float> values = translator.values();
  std::vector<float> y(place_.size, kNoSpread), joined(log_stds_.size());
  for (size_t j = 0; stds != nullptr && j < y.size(); ++j) y[j] = std::log(stds[j]);
  const size_t z = latent_ - place_.size;
  for (size_t row = 0; row < joined.size() / latent_; ++row)
    place_.join(values.data() + own->offset + row * z, y.data(), latent_, joined.data() + row * latent_);
  log_stds_.upload(joined.data(), joined.size());
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
