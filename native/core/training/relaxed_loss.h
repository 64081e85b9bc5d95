#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/cancel.h"
#include "base/rng.h"
#include "core/placed_objective.h"
#include "core/translator/auxiliary_place.h"
#include "core/translator/pass.h"
#include "device/device.h"

namespace tr0n {

/// A differentiable draw of mixtures (the concrete distribution; Maddison, Mnih & Teh 2017, Jang, Gu & Poole
/// 2017): z = Σ_k w_k (μ_k + σ_k ⊙ ε), w = softmax((logits + g)/τ), g standard Gumbel, ε standard normal.
/// On the host, in double: beside one gradient of f∘G a row costs nothing.
class RelaxedDraw {
 public:
  /// Arrays of n mixtures on the host, as a MixtureView's.
  struct Mixtures {
    size_t n = 0, components = 0, latent = 0;
    const float *logits = nullptr, *means = nullptr, *log_stds = nullptr;
    bool component_stds = false;
  };

  RelaxedDraw(size_t capacity, size_t components, size_t latent, double temperature, uint64_t seed);

  /// z [n, d]. A row is a function of (its mixture, its chain, step).
  void draw(const Mixtures& q, const Chain* chains, uint32_t step, float* z);

  /// Through the last draw() of the same mixtures: from dz [n, d] the gradients of Σ_i dz_i·z_i, times
  /// `scale`. With `bound` > 0 the means are bound·tanh(u), and d_means are the gradients of u. d_log_stds
  /// sums over the rows in order. All overwritten.
  void gradients(const Mixtures& q, const float* dz, double scale, double bound, float* d_logits,
                 float* d_means, float* d_log_stds);

 private:
  double temperature_;
  Philox rng_;
  std::vector<double> weights_;                       ///< [capacity, K]
  std::vector<float> noise_;                          ///< [capacity, d]
  std::vector<double> stds_, slopes_, log_std_sums_;  ///< [d] or [K, d]: σ, ∂σ/∂s, Σ of gradients
};

/// Mean E(z, c) over relaxed draws z of a batch's mixtures, in the place of the loss on z: with
/// E = −cos(c, f(G(z))), the paper's cosine loss in c-space. The mixtures come from a device's memory and
/// their gradients go there; f∘G runs where the objective does. With an auxiliary head the latent is (z,
/// ŷ(c)).
class RelaxedLoss final : public MixtureLoss {
 public:
  /// For mixtures and heads of such a translator; its y begins at `auxiliary_begin` of the objective's
  /// latents.
  RelaxedLoss(Device& device, const TranslatorConfig& sizes, Objective& objective, size_t capacity,
              size_t auxiliary_begin, double temperature, uint64_t seed);

  /// What the next evaluate() draws with: chains [n] and conditions [n, m] on the host, as f gave them.
  void prepare(const Chain* chains, uint32_t step, const float* conditions, CancelToken& cancel);

  void evaluate(const MixtureView& q, const float* y, float bound, double weight, double* energies,
                const Gradients& gradients) override;

 private:
  Device& device_;
  PlacedObjective objective_;  ///< for the host's memory
  const AuxiliaryPlace auxiliary_;
  Philox rng_;
  RelaxedDraw draw_;
  const Chain* chains_ = nullptr;
  uint32_t step_ = 0;
  const float* conditions_ = nullptr;
  CancelToken* cancel_ = nullptr;
  std::vector<float> logits_, means_, log_stds_, y_, d_logits_, d_means_, d_log_stds_, d_y_;
  std::vector<float> z_, dz_, latents_, d_latents_, energies_;  ///< latents: z with y
  std::vector<double> losses_;
};

}  // namespace tr0n
