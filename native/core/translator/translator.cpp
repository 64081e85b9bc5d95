#include "core/translator/translator.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/error.h"
#include "core/translator/pass.h"
#include "device/kernels/mixture_math.h"

namespace tr0n {
namespace {

constexpr size_t kDrawn = size_t{1} << 20;  // numbers that draws hand over at once

size_t total(const std::vector<Parameter>& parameters) {
  return parameters.back().offset + parameters.back().size;
}

}  // namespace

Translator::Translator(Device& device, const TranslatorConfig& config)
    : device_(device),
      config_(config),
      parameters_(parameter_layout(config)),
      parameter_count_(total(parameters_)),
      values_(device, placed_size(parameters_)) {}

Translator::Translator(Device& device, const TranslatorConfig& config, const float* values, size_t count)
    : Translator(device, config) {
  set_values(values, count);
}

Translator::Translator(Device& device, const TranslatorConfig& config, uint64_t seed)
    : Translator(device, config) {
  std::vector<float> initial(parameter_count_);
  const Philox rng(seed);
  for (size_t p = 0; p < parameters_.size(); ++p) {
    float* values = initial.data() + parameters_[p].offset;
    if (parameters_[p].name == "z_log_stds") {
      std::fill_n(values, parameters_[p].size, config.initial_log_std);
      continue;
    }
    // Means begin at 0, in the middle of the prior: of ten thousand numbers even small random ones would cost
    // hundreds of nats, which training has to win back first.
    if (parameters_[p].name.compare(0, 8, "z_basis.") == 0) continue;
    const size_t fan_in = p < 2 ? config.condition : config.hidden;
    const float limit = 1.0f / std::sqrt(static_cast<float>(fan_in));
    rng.uniform({static_cast<uint32_t>(p), 0}, 0, Purpose::init, values, parameters_[p].size);
    for (size_t i = 0; i < parameters_[p].size; ++i) values[i] = limit * (2.0f * values[i] - 1.0f);
  }
  set_values(initial.data(), initial.size());
}

std::vector<float> Translator::values() const {
  std::vector<float> copy(parameter_count_);
  copy_values(copy.data());
  return copy;
}

void Translator::copy_values(float* flat) const {
  if (device_.host_memory()) return collect_parameters(parameters_, values_.data(), flat);
  std::vector<float> placed(values_.size());
  values_.download(placed.data(), placed.size());
  collect_parameters(parameters_, placed.data(), flat);
}

void Translator::set_values(const float* values, size_t count) {
  if (count != parameter_count_)
    throw Error("ERR_SHAPE_MISMATCH", "translator: expected " + std::to_string(parameter_count_) +
                                          " parameters, got " + std::to_string(count));
  values_.upload(place_parameters(parameters_, values).data(), values_.size());
}

Mixture Translator::forward(const float* c, size_t n) const {
  const size_t components = config_.components, d = config_.latent, auxiliary = config_.auxiliary;
  Mixture result;
  result.n = n;
  result.components = components;
  result.latent = d;
  result.auxiliary = auxiliary;
  result.logits.resize(n * components);
  result.means.resize(n * components * d);
  result.y.resize(n * auxiliary);
  const size_t rows = TranslatorPass::rows_of(config_, n);
  TranslatorPass pass(*this, rows, TranslatorPass::Purpose::inference);
  Buffer<float> conditions(device_, rows * config_.condition), logits(device_, rows * components),
      means(device_, rows * components * d), y(device_, rows * auxiliary);
  for (size_t begin = 0; begin < n; begin += rows) {
    const size_t count = std::min(rows, n - begin);
    conditions.upload(c + begin * config_.condition, count * config_.condition);
    pass.forward(conditions.data(), count, logits.data(), means.data(), y.data());
    logits.download(result.logits.data() + begin * components, count * components);
    means.download(result.means.data() + begin * components * d, count * components * d);
    y.download(result.y.data() + begin * auxiliary, count * auxiliary);
  }
  if (config_.deterministic) {
    result.stds.assign(d, 0.0f);
    return result;
  }
  const std::vector<float> all = values();
  const auto log_stds = std::find_if(parameters_.begin(), parameters_.end(),
                                     [](const Parameter& p) { return p.name == "z_log_stds"; });
  for (size_t j = 0; j < log_stds->size; ++j) result.stds.push_back(std_value(all[log_stds->offset + j]));
  return result;
}

double Translator::loss(const float* c, const float* z, const float* y, size_t n, const LossOptions& options,
                        float* gradients) const {
  if (n == 0) throw Error("ERR_INVALID_ARGUMENT", "translator: the loss of an empty batch is not defined");
  if (config_.auxiliary > 0 && y == nullptr)
    throw Error("ERR_INVALID_ARGUMENT", "translator: this translator has an auxiliary head: expected y");
  TranslatorPass pass(*this, n, TranslatorPass::Purpose::training);
  Buffer<float> conditions(device_, n * config_.condition), latents(device_, n * config_.latent),
      auxiliary(device_, n * config_.auxiliary),
      device_gradients(device_, gradients != nullptr ? values_.size() : 0);
  Buffer<double> value(device_, 1);
  conditions.upload(c, conditions.size());
  latents.upload(z, latents.size());
  auxiliary.upload(y, auxiliary.size());
  const TranslatorPass::Batch batch{conditions.data(), latents.data(), auxiliary.data(), n};
  if (gradients == nullptr) {
    pass.loss(batch, options.alpha, value.data());
  } else {
    device_gradients.fill(0);  // there are gaps between parameters
    pass.gradients(batch, options.alpha, value.data(), device_gradients.data());
    std::vector<float> placed(device_gradients.size());
    device_gradients.download(placed.data(), placed.size());
    collect_parameters(parameters_, placed.data(), gradients);
  }
  double result = 0;
  value.download(&result, 1);
  return result;
}

void Translator::log_density(const float* c, const float* z, size_t n, double* out) const {
  if (config_.deterministic)
    throw Error("ERR_INVALID_ARGUMENT",
                "translator: a deterministic translator has no density; its points are its means");
  const size_t rows = TranslatorPass::rows_of(config_, n), m = config_.condition, d = config_.latent;
  TranslatorPass pass(*this, rows, TranslatorPass::Purpose::inference);
  Buffer<float> conditions(device_, rows * m), latents(device_, rows * d),
      logits(device_, rows * config_.components), means(device_, rows * config_.components * d),
      y(device_, rows * config_.auxiliary);
  Buffer<double> densities(device_, rows);
  for (size_t begin = 0; begin < n; begin += rows) {
    const size_t count = std::min(rows, n - begin);
    conditions.upload(c + begin * m, count * m);
    latents.upload(z + begin * d, count * d);
    pass.forward(conditions.data(), count, logits.data(), means.data(), y.data());
    device_.kernels().mixture->log_density(
        {pass.view(count, logits.data(), means.data()), nullptr, latents.data(), count, densities.data()});
    densities.download(out + begin, count);
  }
}

void Translator::draw(const float* c, size_t n, size_t count, const Philox& rng, float* z,
                      CancelToken& cancel) const {
  const size_t rows = TranslatorPass::rows_of(config_, n), d = config_.latent;
  const size_t draws = std::clamp<size_t>(kDrawn / d, 1, std::max<size_t>(1, rows * count));
  TranslatorPass pass(*this, rows, TranslatorPass::Purpose::inference);
  Buffer<float> conditions(device_, rows * config_.condition), logits(device_, rows * config_.components),
      means(device_, rows * config_.components * d), y(device_, rows * config_.auxiliary),
      drawn(device_, draws * d);
  Mirror<uint32_t> mixtures(device_, draws);
  Mirror<Chain> chains(device_, draws);
  for (size_t begin = 0; begin < n; begin += rows) {
    cancel.throw_if_cancelled();
    const size_t here = std::min(rows, n - begin);
    conditions.upload(c + begin * config_.condition, here * config_.condition);
    pass.forward(conditions.data(), here, logits.data(), means.data(), y.data());
    float* out = z + begin * count * d;
    if (config_.deterministic) {
      std::vector<float> points(here * d);
      means.download(points.data(), points.size());
      for (size_t i = 0; i < here * count; ++i) std::copy_n(points.data() + i / count * d, d, out + i * d);
      continue;
    }
    for (size_t first = 0; first < here * count; first += draws) {
      cancel.throw_if_cancelled();
      const size_t some = std::min(draws, here * count - first);
      for (size_t i = 0; i < some; ++i) {
        const size_t mixture = (first + i) / count;
        mixtures.host()[i] = static_cast<uint32_t>(mixture);
        chains.host()[i] = {static_cast<uint32_t>(begin + mixture),
                            static_cast<uint32_t>((first + i) % count)};
      }
      mixtures.push(some);
      chains.push(some);
      device_.kernels().mixture->draw({pass.view(here, logits.data(), means.data()), mixtures.device(),
                                       chains.device(), some, 0, Purpose::component,
                                       Purpose::component_normal, rng, drawn.data()});
      drawn.download(out + first * d, some * d);
    }
  }
}

}  // namespace tr0n
