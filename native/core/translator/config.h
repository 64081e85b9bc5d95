#pragma once
#include <cstddef>

#include "base/fields.h"

namespace tr0n {

/// q(z|c), method.md "Translator": a₁ = relu(W₁c + b₁); aᵢ₊₁ = aᵢ + relu(Wᵢ₊₁aᵢ + bᵢ₊₁) for each of `depth`
/// residual blocks; heads on the last one. With a rank r < d the means are low-rank: each component has a
/// code of r numbers, linear in the last block, and a basis [d, r] that all components share makes its mean,
/// so that h·K·r + r·d weights take the place of h·K·d.
struct TranslatorConfig {
  size_t condition = 0;   ///< m
  size_t hidden = 0;      ///< h
  size_t latent = 0;      ///< d
  size_t components = 1;  ///< K
  size_t auxiliary = 0;   ///< size of y; 0 = no auxiliary head
  size_t depth = 1;       ///< residual blocks; the paper has 1
  size_t rank = 0;        ///< r; 0 = means are linear in the last block
  float bound = 0.0f;     ///< means = bound·tanh(·); 0 = unbounded
  float initial_log_std = 0.0f;
  /// A point for each condition instead of a density: K = 1, and no logits or stds.
  bool deterministic = false;
  bool component_stds = false;  ///< log-stds [K, d] instead of [d]

  /// What the head gives for each component: its mean, or the code of it.
  size_t head_width() const { return rank > 0 ? rank : latent; }
  size_t log_std_count() const {
    if (deterministic) return 0;
    return component_stds ? components * latent : latent;
  }

  template <class Self, class Visit>
  static void fields(Self& self, const Visit& visit) {
    constexpr double kMostWide = 1 << 20;
    visit(self.condition, Field("condition", "condition").least(1).most(kMostWide).needed());
    visit(self.hidden, Field("hidden", "hidden").least(1).most(kMostWide).needed());
    visit(self.latent, Field("latent", "latent").least(1).most(1 << 24).needed());
    visit(self.components, Field("components", "components").least(1).most(4096).needed());
    visit(self.auxiliary, Field("auxiliary", "auxiliary").least(0).most(kMostWide));
    visit(self.depth, Field("depth", "depth").least(1).most(64).in("blocks"));
    visit(self.rank, Field("rank", "rank").least(0).most(kMostWide));
    visit(self.deterministic, Field("deterministic", "deterministic"));
    visit(self.component_stds, Field("componentStds", "component stds"));
    visit(self.bound, Field("bound", "bound").least(0).said("a finite number, 0 or above"));
    visit(self.initial_log_std,
          Field("initialLogStd", "initial log-std").least(-20).most(20).said("a finite number in [-20, 20]"));
  }

  void check() const;  ///< throws Error(ERR_INVALID_ARGUMENT)
};

}  // namespace tr0n
