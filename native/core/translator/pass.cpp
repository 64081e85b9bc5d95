#include "core/translator/pass.h"

#include <algorithm>

namespace tr0n {
namespace {

constexpr size_t kRows = 1024;
constexpr size_t kMeans = size_t{1} << 26;  // numbers

}  // namespace

size_t TranslatorPass::rows_of(const TranslatorConfig& config, size_t n) {
  return std::min({n, kRows, std::max<size_t>(1, kMeans / (config.components * config.latent))});
}

TranslatorPass::TranslatorPass(const Translator& translator, size_t capacity, Purpose purpose)
    : translator_(translator),
      purpose_(purpose),
      config_(translator.config()),
      kernels_(translator.device().kernels()),
      logits_(translator.device(), purpose == Purpose::training ? capacity * config_.components : 0),
      means_(translator.device(), logits_.size() * config_.latent),
      y_(translator.device(), purpose == Purpose::training ? capacity * config_.auxiliary : 0),
      d_logits_(translator.device(), logits_.size()),
      d_means_(translator.device(), means_.size()),
      d_y_(translator.device(), y_.size()),
      d_a_(translator.device(), purpose == Purpose::training ? capacity * config_.hidden : 0),
      codes_(translator.device(), capacity * config_.components * config_.rank),
      d_codes_(translator.device(), purpose == Purpose::training ? codes_.size() : 0),
      d_log_stds_(translator.device(), purpose == Purpose::training ? config_.log_std_count() : 0),
      rows_(translator.device(), capacity * d_log_stds_.size()),
      losses_(translator.device(), purpose == Purpose::training ? capacity : 0),
      auxiliary_losses_(translator.device(), config_.auxiliary > 0 ? losses_.size() : 0) {
  const size_t activations = purpose == Purpose::training ? 1 + config_.depth : 2;
  for (size_t i = 0; i < activations; ++i) a_.emplace_back(translator.device(), capacity * config_.hidden);
  if (purpose == Purpose::inference) return;
  for (size_t block = 0; block <= config_.depth; ++block) {
    r_.emplace_back(translator.device(), block == 0 ? 0 : capacity * config_.hidden);
    d_u_.emplace_back(translator.device(), capacity * config_.hidden);
  }
  layers_.reserve(config_.depth + 5);
  layer_gradients_.reserve(layers_.capacity());
  layer_updates_.reserve(layers_.capacity());
}

MixtureView TranslatorPass::view(size_t n, const float* logits, const float* means) const {
  return {n,
          config_.components,
          config_.latent,
          logits,
          means,
          config_.deterministic ? nullptr : parameter(log_stds_index()),
          config_.component_stds};
}

void TranslatorPass::forward(const float* c, size_t n, float* logits, float* means, float* y) {
  const size_t h = config_.hidden;
  const auto layer = [&](size_t in, size_t out, size_t weight, const float* x, float* result) {
    LinearLayer l;
    l.in = in;
    l.out = out;
    l.x = x;
    l.weight = parameter(weight);
    l.bias = parameter(weight + 1);
    l.y = result;
    return l;
  };
  LinearLayer first = layer(config_.condition, h, block_weight(0), c, a_[0].data());
  first.activation = Activation::relu;
  kernels_.linear->forward({mode(), n, &first, 1});
  float* a = a_[0].data();
  for (size_t block = 1; block <= config_.depth; ++block) {
    float* next = a_[block % a_.size()].data();
    LinearLayer residual = layer(h, h, block_weight(block), a, next);
    residual.activation = Activation::relu;
    residual.residual = a;
    if (purpose_ == Purpose::training) residual.activated = r_[block].data();
    kernels_.linear->forward({mode(), n, &residual, 1});
    a = next;
  }
  const bool coded = config_.rank > 0;
  const auto bounded = [&](LinearLayer l) {
    if (config_.bound > 0) {
      l.activation = Activation::tanh_bound;
      l.bound = config_.bound;
    }
    return l;
  };
  LinearLayer heads[3] = {
      layer(h, config_.components * config_.head_width(), z_weight(), a, coded ? codes_.data() : means)};
  if (!coded) heads[0] = bounded(heads[0]);
  size_t count = 1;
  if (!config_.deterministic) heads[count++] = layer(h, config_.components, logits_weight(), a, logits);
  if (config_.auxiliary > 0) heads[count++] = layer(h, config_.auxiliary, y_weight(), a, y);
  kernels_.linear->forward({mode(), n, heads, count});
  if (coded) {
    const LinearLayer basis =
        bounded(layer(config_.rank, config_.latent, basis_weight(), codes_.data(), means));
    kernels_.linear->forward({mode(), n * config_.components, &basis, 1});
  }
  if (config_.deterministic && logits != nullptr) {
    const std::vector<float> zeros(n);
    translator_.device().upload(logits, zeros.data(), n * sizeof(float));
  }
}

void TranslatorPass::run(const Batch& batch, float alpha, double* loss, float* d_log_stds,
                         bool differentiate) {
  const size_t n = batch.n;
  forward(batch.c, n, config_.deterministic ? nullptr : logits_.data(), means_.data(), y_.data());
  const MixtureView q = view(n, logits_.data(), means_.data());
  const double count = static_cast<double>(n), weight = static_cast<double>(alpha) / count;
  float *d_logits = differentiate ? d_logits_.data() : nullptr,
        *d_means = differentiate ? d_means_.data() : nullptr;
  if (config_.auxiliary > 0)
    kernels_.loss->squared_error({n, config_.auxiliary, y_.data(), batch.y, static_cast<float>(1 / count), 0,
                                  auxiliary_losses_.data(), differentiate ? d_y_.data() : nullptr});
  if (batch.other != nullptr) {
    batch.other->evaluate(q, y_.data(), config_.bound, weight, losses_.data(),
                          {d_logits, d_means, d_log_stds, differentiate ? d_y_.data() : nullptr});
  } else if (config_.deterministic) {
    kernels_.loss->squared_error({n, config_.latent, means_.data(), batch.z, static_cast<float>(weight),
                                  config_.bound, losses_.data(), d_means});
  } else {
    kernels_.mixture->nll({q, batch.z, static_cast<float>(weight), config_.bound, losses_.data(), d_logits,
                           d_means, d_log_stds, differentiate ? rows_.data() : nullptr});
  }
  kernels_.loss->weighted_sum({n, losses_.data(), weight, auxiliary_losses_.data(), 1 / count, loss});
  if (differentiate) backward(batch);
}

/// Adjoints of the layers' outputs. aᵢ = aᵢ₋₁ + relu(uᵢ): ∂/∂uᵢ = ∂/∂aᵢ ⊙ [uᵢ > 0], ∂/∂aᵢ₋₁ = ∂/∂aᵢ +
/// ∂/∂uᵢ·Wᵢ.
void TranslatorPass::backward(const Batch& batch) {
  const size_t h = config_.hidden, depth = config_.depth;
  const bool coded = config_.rank > 0;
  if (coded) {
    const LinearAdjoint basis{config_.latent, d_means_.data(), parameter(basis_weight())};
    LinearInput codes;
    codes.in = config_.rank;
    codes.dx = d_codes_.data();
    kernels_.linear->backward_input({mode(), batch.n * config_.components, &basis, 1, codes});
  }
  LinearAdjoint heads[3] = {{config_.components * config_.head_width(),
                             coded ? d_codes_.data() : d_means_.data(), parameter(z_weight())}};
  size_t count = 1;
  if (!config_.deterministic)
    heads[count++] = {config_.components, d_logits_.data(), parameter(logits_weight())};
  if (config_.auxiliary > 0) heads[count++] = {config_.auxiliary, d_y_.data(), parameter(y_weight())};
  LinearInput last;
  last.in = h;
  last.dx = d_a_.data();
  last.activated = r_[depth].data();
  last.masked = d_u_[depth].data();
  kernels_.linear->backward_input({mode(), batch.n, heads, count, last});
  for (size_t block = depth; block >= 1; --block) {
    const LinearAdjoint residual{h, d_u_[block].data(), parameter(block_weight(block))};
    LinearInput input;
    input.in = h;
    input.add = d_a_.data();
    if (block > 1) input.dx = d_a_.data();
    input.activated = block > 1 ? r_[block - 1].data() : a_[0].data();
    input.masked = d_u_[block - 1].data();
    kernels_.linear->backward_input({mode(), batch.n, &residual, 1, input});
  }
}

void TranslatorPass::find_layers(const Batch& batch) {
  const size_t h = config_.hidden;
  layers_.clear();
  layers_.push_back({config_.condition, h, block_weight(0), batch.c, d_u_[0].data()});
  for (size_t block = 1; block <= config_.depth; ++block)
    layers_.push_back({h, h, block_weight(block), a_[block - 1].data(), d_u_[block].data()});
  const float* a = a_[config_.depth].data();
  const bool coded = config_.rank > 0;
  layers_.push_back({h, config_.components * config_.head_width(), z_weight(), a,
                     coded ? d_codes_.data() : d_means_.data()});
  if (!config_.deterministic)
    layers_.push_back({h, config_.components, logits_weight(), a, d_logits_.data()});
  if (config_.auxiliary > 0) layers_.push_back({h, config_.auxiliary, y_weight(), a, d_y_.data()});
  if (coded)
    layers_.push_back(
        {config_.rank, config_.latent, basis_weight(), codes_.data(), d_means_.data(), config_.components});
}

void TranslatorPass::gradients(const Batch& batch, float alpha, double* loss, float* gradients) {
  run(batch, alpha, loss, config_.deterministic ? nullptr : gradients + place(log_stds_index()), true);
  find_layers(batch);
  layer_gradients_.clear();
  for (const Layer& layer : layers_)
    layer_gradients_.push_back({layer.in, layer.out, layer.x, layer.dy, gradients + place(layer.weight),
                                gradients + place(layer.weight + 1)});
  // The basis, the last one, has rows of its own.
  const size_t alike = layers_.size() - (config_.rank > 0 ? 1 : 0);
  kernels_.linear->backward_weight({mode(), batch.n, layer_gradients_.data(), alike});
  if (alike < layers_.size())
    kernels_.linear->backward_weight(
        {mode(), batch.n * layers_.back().each, layer_gradients_.data() + alike, 1});
}

void TranslatorPass::update(const Batch& batch, float alpha, double* loss, const AdamStep* step,
                            const AdamArrays& arrays, StepTotals* totals) {
  run(batch, alpha, loss, d_log_stds_.data(), true);
  const auto at = [&](size_t index) {
    const size_t begin = place(index);
    return AdamArrays{arrays.parameters + begin, arrays.m + begin, arrays.v + begin};
  };
  find_layers(batch);
  layer_updates_.clear();
  for (const Layer& layer : layers_)
    layer_updates_.push_back(
        {layer.in, layer.out, layer.x, layer.dy, at(layer.weight), at(layer.weight + 1)});
  VectorUpdate log_stds;
  if (!config_.deterministic) log_stds = {d_log_stds_.size(), d_log_stds_.data(), at(log_stds_index())};
  kernels_.linear_update->optimise({mode(), step, batch.n, layer_updates_.data(), layer_updates_.size(),
                                    &log_stds, config_.deterministic ? size_t{0} : 1, loss, totals});
}

}  // namespace tr0n
