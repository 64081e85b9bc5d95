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
      config_(translator.config()),
      kernels_(translator.device().kernels()),
      a1_(translator.device(), capacity * config_.hidden),
      r2_(translator.device(), capacity * config_.hidden),
      a2_(translator.device(), capacity * config_.hidden),
      logits_(translator.device(), purpose == Purpose::training ? capacity * config_.components : 0),
      means_(translator.device(), logits_.size() * config_.latent),
      y_(translator.device(), purpose == Purpose::training ? capacity * config_.auxiliary : 0),
      d_logits_(translator.device(), logits_.size()),
      d_means_(translator.device(), means_.size()),
      d_y_(translator.device(), y_.size()),
      d_a1_(translator.device(), purpose == Purpose::training ? a1_.size() : 0),
      d_a2_(translator.device(), d_a1_.size()),
      rows_(translator.device(), purpose == Purpose::training ? capacity * config_.latent : 0),
      losses_(translator.device(), purpose == Purpose::training ? capacity : 0) {}

const float* TranslatorPass::log_stds() const { return parameter(log_stds_index); }

void TranslatorPass::forward(const float* c, size_t n, float* logits, float* means, float* y) {
  const size_t h = config_.hidden;
  kernels_.linear_forward({n, config_.condition, h}, c, parameter(shared1_weight), parameter(shared1_bias),
                          Activation::relu, 0, nullptr, nullptr, a1_.data());
  kernels_.linear_forward({n, h, h}, a1_.data(), parameter(shared2_weight), parameter(shared2_bias),
                          Activation::relu, 0, a1_.data(), r2_.data(), a2_.data());
  kernels_.linear_forward({n, h, config_.components}, a2_.data(), parameter(logits_weight),
                          parameter(logits_bias), Activation::none, 0, nullptr, nullptr, logits);
  kernels_.linear_forward({n, h, config_.components * config_.latent}, a2_.data(), parameter(z_weight),
                          parameter(z_bias), config_.bound > 0 ? Activation::tanh_bound : Activation::none,
                          config_.bound, nullptr, nullptr, means);
  if (config_.auxiliary > 0)
    kernels_.linear_forward({n, h, config_.auxiliary}, a2_.data(), parameter(y_weight), parameter(y_bias),
                            Activation::none, 0, nullptr, nullptr, y);
}

void TranslatorPass::loss(const float* c, const float* z, const float* y, size_t n, float alpha, double* loss,
                          float* gradients) {
  forward(c, n, logits_.data(), means_.data(), y_.data());
  const MixtureView q{n, config_.components, config_.latent, logits_.data(), means_.data(), log_stds()};
  const double count = static_cast<double>(n);
  const bool differentiate = gradients != nullptr;
  kernels_.mixture_nll(q, z, static_cast<float>(static_cast<double>(alpha) / count), losses_.data(),
                       differentiate ? d_logits_.data() : nullptr, differentiate ? d_means_.data() : nullptr,
                       differentiate ? gradients + translator_.parameters()[log_stds_index].offset : nullptr,
                       differentiate ? rows_.data() : nullptr);
  kernels_.sum(n, losses_.data(), static_cast<double>(alpha) / count, false, loss);
  if (config_.auxiliary > 0) {
    kernels_.squared_error(n, config_.auxiliary, y_.data(), y, static_cast<float>(1 / count), losses_.data(),
                           differentiate ? d_y_.data() : nullptr);
    kernels_.sum(n, losses_.data(), 1 / count, true, loss);
  }
  if (differentiate) backward(c, n, gradients);
}

void TranslatorPass::backward(const float* c, size_t n, float* gradients) {
  const size_t h = config_.hidden;
  const auto gradient = [&](size_t index) { return gradients + translator_.parameters()[index].offset; };

  // A head: its weights' gradients, and its share of ∂/∂a₂.
  const auto head = [&](size_t out, size_t weight, const float* d_out, bool accumulate) {
    const LinearShape shape{n, h, out};
    kernels_.linear_backward_weight(shape, a2_.data(), d_out, gradient(weight), gradient(weight + 1));
    kernels_.linear_backward_input(shape, d_out, parameter(weight), d_a2_.data(), accumulate);
  };
  if (config_.bound > 0)
    kernels_.activation_backward(n * config_.components * config_.latent, Activation::tanh_bound,
                                 config_.bound, means_.data(), d_means_.data(), d_means_.data());
  head(config_.components * config_.latent, z_weight, d_means_.data(), false);
  head(config_.components, logits_weight, d_logits_.data(), true);
  if (config_.auxiliary > 0) head(config_.auxiliary, y_weight, d_y_.data(), true);

  // a₂ = a₁ + r₂: ∂/∂a₁ = ∂/∂a₂ + (∂/∂a₂ ⊙ [r₂ > 0])·W₂. d_a1_ serves for the masked gradients of both
  // layers.
  kernels_.activation_backward(n * h, Activation::relu, 0, r2_.data(), d_a2_.data(), d_a1_.data());
  kernels_.linear_backward_weight({n, h, h}, a1_.data(), d_a1_.data(), gradient(shared2_weight),
                                  gradient(shared2_bias));
  kernels_.linear_backward_input({n, h, h}, d_a1_.data(), parameter(shared2_weight), d_a2_.data(), true);
  kernels_.activation_backward(n * h, Activation::relu, 0, a1_.data(), d_a2_.data(), d_a1_.data());
  kernels_.linear_backward_weight({n, config_.condition, h}, c, d_a1_.data(), gradient(shared1_weight),
                                  gradient(shared1_bias));
}

}  // namespace tr0n
