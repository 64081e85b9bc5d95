#pragma once
#include <cstddef>
#include <vector>

#include "core/translator/translator.h"
#include "device/buffer.h"

namespace tr0n {

/// A loss of a batch's mixtures that takes the place of the likelihood of z.
class MixtureLoss {
 public:
  /// Where gradients go, in the device's memory; null together.
  struct Gradients {
    float *logits = nullptr, *means = nullptr, *log_stds = nullptr;  ///< overwritten
    float* y = nullptr;                                              ///< [n, auxiliary], added to
  };

  virtual ~MixtureLoss() = default;
  /// losses [n] (double) and the gradients of weight·Σ_i of them, all in the device's memory, as is ŷ `y` [n,
  /// auxiliary]. @see MixtureNll for `bound`
  virtual void evaluate(const MixtureView& q, const float* y, float bound, double weight, double* losses,
                        const Gradients& gradients) = 0;
};

/// Forward and backward of a translator over up to `capacity` rows, with all activations allocated once.
/// Pointers are memory of the translator's device; parameters are read from it at every call.
class TranslatorPass {
 public:
  enum class Purpose { inference, training };
  TranslatorPass(const Translator& translator, size_t capacity, Purpose purpose);

  /// In how many of n rows at once inference takes them: bounds the memory of activations and means.
  static size_t rows_of(const TranslatorConfig& config, size_t n);

  /// logits [n, K], means [n, K, d], y [n, auxiliary] (null without an auxiliary head) from c [n, m]. The
  /// logits of a deterministic translator are 0.
  void forward(const float* c, size_t n, float* logits, float* means, float* y);

  /// Conditions [n, m], latents [n, d] and auxiliary latents [n, auxiliary].
  struct Batch {
    const float *c = nullptr, *z = nullptr, *y = nullptr;
    size_t n = 0;
    MixtureLoss* other = nullptr;  ///< takes the place of the loss on z, with what it needs besides
  };

  // Training only.

  /// *loss (double) = alpha·mean NLL, or alpha·mean squared error of z where the translator is deterministic,
  /// + auxiliary mean squared error.
  void loss(const Batch& batch, float alpha, double* loss) { run(batch, alpha, loss, nullptr, false); }
  /// The same, and its gradients, placed as the parameters are; the gaps between them are not touched.
  void gradients(const Batch& batch, float alpha, double* loss, float* gradients);
  /// The same, and one step of OptimiseLinear on parameters and moments, all placed alike. Not where there is
  /// a rank: its layers have different numbers of rows, and one call takes layers over the same.
  void update(const Batch& batch, float alpha, double* loss, const AdamStep* step, const AdamArrays& arrays,
              StepTotals* totals);

  /// The mixtures of n rows with these logits and means. No log-stds where the translator is deterministic.
  MixtureView view(size_t n, const float* logits, const float* means) const;

 private:
  /// Of a weight among Translator::parameters(); its bias is the parameter after it.
  size_t block_weight(size_t block) const { return 2 * block; }  ///< block 0: shared1
  size_t z_weight() const { return 2 * (1 + config_.depth); }
  size_t basis_weight() const { return z_weight() + 2; }  ///< only where there is a rank
  size_t logits_weight() const {                          ///< not where deterministic
    return z_weight() + (config_.rank > 0 ? 4 : 2);
  }
  size_t log_stds_index() const { return logits_weight() + 2; }  ///< not where deterministic
  size_t y_weight() const { return logits_weight() + (config_.deterministic ? 0 : 3); }
  const float* parameter(size_t index) const {
    return translator_.data() + translator_.parameters()[index].place;
  }
  /// A layer as its weight's gradient sees it; its bias is the parameter after `weight`.
  struct Layer {
    size_t in, out, weight;
    const float *x, *dy;
    size_t each = 1;  ///< rows for each of the batch
  };
  void find_layers(const Batch& batch);
  size_t place(size_t index) const { return translator_.parameters()[index].place; }
  /// Forward pass and, where it is to `differentiate`, the adjoints of every layer's output and of the
  /// log-stds.
  void run(const Batch& batch, float alpha, double* loss, float* d_log_stds, bool differentiate);
  void backward(const Batch& batch);
  MatrixMode mode() const { return {translator_.precision(), purpose_ == Purpose::inference}; }

  const Translator& translator_;
  const Purpose purpose_;
  const TranslatorConfig& config_;
  const Kernels& kernels_;
  /// [capacity, h] each: a₁ … of block 0 (shared1) and every residual block. Inference keeps two of them.
  std::vector<Buffer<float>> a_;
  // Training only. Adjoints share their activation's shape; u is what relu is applied to, r what it gives.
  std::vector<Buffer<float>> r_, d_u_;  ///< by block; r of block 0 is a of block 0
  Buffer<float> logits_, means_, y_, d_logits_, d_means_, d_y_, d_a_;
  Buffer<float> codes_, d_codes_;             ///< [capacity, K, r]; d_codes_ in training only
  Buffer<float> d_log_stds_, rows_;           ///< [log-stds]; [capacity, log-stds]
  Buffer<double> losses_, auxiliary_losses_;  ///< [capacity]
  std::vector<Layer> layers_;
  std::vector<LinearGradient> layer_gradients_;
  std::vector<LinearUpdate> layer_updates_;
};

}  // namespace tr0n
