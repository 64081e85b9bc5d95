#include "core/translator_pass.h"

namespace tr0n {
namespace {

/// Places in Translator::parameters().
enum Index : size_t {
  shared1_weight,
  shared1_bias,
  shared2_weight,
  shared2_bias,
  z_weight,
  z_bias,
  logits_weight,
  logits_bias,
  log_stds_index,
  y_weight,
  y_bias,
};

}  // namespace

TranslatorPass::TranslatorPass(const Translator& translator, size_t capacity, Purpose purpose)
    : translator_(translator),
      purpose_(purpose),
      config_(translator.config()),
      kernels_(translator.device().kernels()),
      a1_(translator.device(), capacity * config_.hidden),
      r2_(translator.device(), purpose == Purpose::training ? a1_.size() : 0),
      a2_(translator.device(), a1_.size()),
      logits_(translator.device(), purpose == Purpose::training ? capacity * config_.components : 0),
      means_(translator.device(), logits_.size() * config_.latent),
      y_(translator.device(), purpose == Purpose::training ? capacity * config_.auxiliary : 0),
      d_logits_(translator.device(), logits_.size()),
      d_means_(translator.device(), means_.size()),
      d_y_(translator.device(), y_.size()),
      d_a2_(translator.device(), r2_.size()),
      d_u2_(translator.device(), r2_.size()),
      d_u1_(translator.device(), r2_.size()),
      d_log_stds_(translator.device(), purpose == Purpose::training ? config_.latent : 0),
      rows_(translator.device(), purpose == Purpose::training ? capacity * config_.latent : 0),
      losses_(translator.device(), purpose == Purpose::training ? capacity : 0),
      auxiliary_losses_(translator.device(), config_.auxiliary > 0 ? losses_.size() : 0) {}

const float* TranslatorPass::log_stds() const { return parameter(log_stds_index); }

void TranslatorPass::forward(const float* c, size_t n, float* logits, float* means, float* y) {
  const size_t h = config_.hidden;
  const auto layer = [&](size_t in, size_t out, size_t weight, const float* x, float* result) {
    LinearForward l;
    l.in = in;
    l.out = out;
    l.x = x;
    l.weight = parameter(weight);
    l.bias = parameter(weight + 1);
    l.y = result;
    return l;
  };
  LinearForward first = layer(config_.condition, h, shared1_weight, c, a1_.data());
  first.activation = Activation::relu;
  kernels_.linear_forward(mode(), n, &first, 1);
  LinearForward second = layer(h, h, shared2_weight, a1_.data(), a2_.data());
  second.activation = Activation::relu;
  second.residual = a1_.data();
  second.activated = r2_.data();
  kernels_.linear_forward(mode(), n, &second, 1);
  LinearForward heads[3] = {
      layer(h, config_.components * config_.latent, z_weight, a2_.data(), means),
      layer(h, config_.components, logits_weight, a2_.data(), logits),
  };
  if (config_.bound > 0) {
    heads[0].activation = Activation::tanh_bound;
    heads[0].bound = config_.bound;
  }
  if (config_.auxiliary > 0) heads[2] = layer(h, config_.auxiliary, y_weight, a2_.data(), y);
  kernels_.linear_forward(mode(), n, heads, config_.auxiliary > 0 ? 3 : 2);
}

void TranslatorPass::run(const Batch& batch, float alpha, double* loss, float* d_log_stds) {
  const bool differentiate = d_log_stds != nullptr;
  const size_t n = batch.n;
  forward(batch.c, n, logits_.data(), means_.data(), y_.data());
  const MixtureView q{n, config_.components, config_.latent, logits_.data(), means_.data(), log_stds()};
  const double count = static_cast<double>(n), weight = static_cast<double>(alpha) / count;
  kernels_.mixture_nll(q, batch.z, static_cast<float>(weight), config_.bound, losses_.data(),
                       differentiate ? d_logits_.data() : nullptr, differentiate ? d_means_.data() : nullptr,
                       d_log_stds, differentiate ? rows_.data() : nullptr);
  if (config_.auxiliary > 0)
    kernels_.squared_error(n, config_.auxiliary, y_.data(), batch.y, static_cast<float>(1 / count),
                           auxiliary_losses_.data(), differentiate ? d_y_.data() : nullptr);
  kernels_.weighted_sum(n, losses_.data(), weight, auxiliary_losses_.data(), 1 / count, loss);
  if (differentiate) backward(batch);
}

/// Adjoints of the layers' outputs. a₂ = a₁ + relu(u₂): ∂/∂u₂ = ∂/∂a₂ ⊙ [u₂ > 0], ∂/∂a₁ = ∂/∂a₂ + ∂/∂u₂·W₂.
void TranslatorPass::backward(const Batch& batch) {
  const size_t h = config_.hidden;
  const LinearAdjoint heads[3] = {
      {config_.components * config_.latent, d_means_.data(), parameter(z_weight)},
      {config_.components, d_logits_.data(), parameter(logits_weight)},
      {config_.auxiliary, d_y_.data(), config_.auxiliary > 0 ? parameter(y_weight) : nullptr},
  };
  LinearInput a2;
  a2.in = h;
  a2.dx = d_a2_.data();
  a2.activated = r2_.data();
  a2.masked = d_u2_.data();
  kernels_.linear_backward_input(mode(), batch.n, heads, config_.auxiliary > 0 ? 3 : 2, a2);
  const LinearAdjoint second{h, d_u2_.data(), parameter(shared2_weight)};
  LinearInput a1;
  a1.in = h;
  a1.add = d_a2_.data();
  a1.activated = a1_.data();
  a1.masked = d_u1_.data();
  kernels_.linear_backward_input(mode(), batch.n, &second, 1, a1);
}

size_t TranslatorPass::layers(const Batch& batch, Layer (&out)[kMaxLayers]) const {
  const size_t h = config_.hidden;
  out[0] = {config_.condition, h, shared1_weight, batch.c, d_u1_.data()};
  out[1] = {h, h, shared2_weight, a1_.data(), d_u2_.data()};
  out[2] = {h, config_.components * config_.latent, z_weight, a2_.data(), d_means_.data()};
  out[3] = {h, config_.components, logits_weight, a2_.data(), d_logits_.data()};
  if (config_.auxiliary == 0) return 4;
  out[4] = {h, config_.auxiliary, y_weight, a2_.data(), d_y_.data()};
  return 5;
}

void TranslatorPass::gradients(const Batch& batch, float alpha, double* loss, float* gradients) {
  run(batch, alpha, loss, gradients + place(log_stds_index));
  Layer all[kMaxLayers];
  LinearGradient group[kMaxLayers];
  const size_t count = layers(batch, all);
  for (size_t i = 0; i < count; ++i)
    group[i] = {all[i].in,
                all[i].out,
                all[i].x,
                all[i].dy,
                gradients + place(all[i].weight),
                gradients + place(all[i].weight + 1)};
  kernels_.linear_backward_weight(mode(), batch.n, group, count);
}

void TranslatorPass::update(const Batch& batch, float alpha, double* loss, const AdamStep* step,
                            const AdamArrays& arrays, StepTotals* totals) {
  run(batch, alpha, loss, d_log_stds_.data());
  const auto at = [&](size_t index) {
    const size_t begin = place(index);
    return AdamArrays{arrays.parameters + begin, arrays.m + begin, arrays.v + begin};
  };
  Layer all[kMaxLayers];
  LinearUpdate group[kMaxLayers];
  const size_t count = layers(batch, all);
  for (size_t i = 0; i < count; ++i)
    group[i] = {all[i].in, all[i].out, all[i].x, all[i].dy, at(all[i].weight), at(all[i].weight + 1)};
  const VectorUpdate log_stds{config_.latent, d_log_stds_.data(), at(log_stds_index)};
  kernels_.optimise_linear(mode(), step, batch.n, group, count, &log_stds, 1, loss, totals);
}

}  // namespace tr0n
