#pragma once
#include <cstddef>

#include "core/buffer.h"
#include "core/translator.h"

namespace tr0n {

/// Forward and backward of a translator over up to `capacity` rows, with all activations allocated once.
/// Pointers are memory of the translator's device; parameters are read from it at every call.
class TranslatorPass {
 public:
  enum class Purpose { inference, training };
  TranslatorPass(const Translator& translator, size_t capacity, Purpose purpose);

  /// logits [n, K], means [n, K, d], y [n, auxiliary] (null without an auxiliary head) from c [n, m].
  void forward(const float* c, size_t n, float* logits, float* means, float* y);

  /// *loss (double) = alpha·mean NLL + auxiliary mean squared error, and `gradients` [parameter_count], which
  /// may be null. Built for training only.
  void loss(const float* c, const float* z, const float* y, size_t n, float alpha, double* loss,
            float* gradients);

  /// log-stds [d] of the mixture.
  const float* log_stds() const;

 private:
  const float* parameter(size_t index) const {
    return translator_.data() + translator_.parameters()[index].offset;
  }
  void backward(const float* c, size_t n, float* gradients);

  const Translator& translator_;
  const TranslatorConfig& config_;
  const Kernels& kernels_;
  Buffer<float> a1_, r2_, a2_;  ///< [capacity, h]: relu(W₁c + b₁), relu(W₂a₁ + b₂), their sum
  // Training only. Gradients share their activation's shape.
  Buffer<float> logits_, means_, y_, d_logits_, d_means_, d_y_, d_a1_, d_a2_, rows_;
  Buffer<double> losses_;
};

}  // namespace tr0n
