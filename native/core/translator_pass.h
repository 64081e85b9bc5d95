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

  /// Conditions [n, m], latents [n, d] and auxiliary latents [n, auxiliary].
  struct Batch {
    const float *c = nullptr, *z = nullptr, *y = nullptr;
    size_t n = 0;
  };

  // Training only.

  /// *loss (double) = alpha·mean NLL + auxiliary mean squared error.
  void loss(const Batch& batch, float alpha, double* loss) { run(batch, alpha, loss, nullptr); }
  /// The same, and its gradients, placed as the parameters are; the gaps between them are not touched.
  void gradients(const Batch& batch, float alpha, double* loss, float* gradients);
  /// The same, and one step of Kernels::optimise_linear on parameters and moments, all placed alike.
  void update(const Batch& batch, float alpha, double* loss, const AdamStep* step, const AdamArrays& arrays,
              StepTotals* totals);

  /// log-stds [d] of the mixture.
  const float* log_stds() const;

 private:
  const float* parameter(size_t index) const {
    return translator_.data() + translator_.parameters()[index].place;
  }
  static constexpr size_t kMaxLayers = 5;
  /// A layer as its weight's gradient sees it; its bias is the parameter after `weight`.
  struct Layer {
    size_t in, out, weight;
    const float *x, *dy;
  };
  size_t layers(const Batch& batch, Layer (&out)[kMaxLayers]) const;
  size_t place(size_t index) const { return translator_.parameters()[index].place; }
  /// Forward pass and, where `d_log_stds` is given, the adjoints of every layer's output.
  void run(const Batch& batch, float alpha, double* loss, float* d_log_stds);
  void backward(const Batch& batch);
  MatrixMode mode() const { return {translator_.precision(), purpose_ == Purpose::inference}; }

  const Translator& translator_;
  const Purpose purpose_;
  const TranslatorConfig& config_;
  const Kernels& kernels_;
  Buffer<float> a1_, r2_, a2_;  ///< [capacity, h]: relu(W₁c + b₁), relu(W₂a₁ + b₂), their sum
  // Training only. Adjoints share their activation's shape; u1 and u2 are what relu is applied to.
  Buffer<float> logits_, means_, y_, d_logits_, d_means_, d_y_, d_a2_, d_u2_, d_u1_;
  Buffer<float> d_log_stds_, rows_;           ///< [d]; [capacity, d]
  Buffer<double> losses_, auxiliary_losses_;  ///< [capacity]
};

}  // namespace tr0n
