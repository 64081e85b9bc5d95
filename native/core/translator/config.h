#pragma once
#include <cstddef>

#include "base/fields.h"

namespace tr0n {

/// q(z|c), method.md "Translator": a₁ = relu(W₁c + b₁); aᵢ₊₁ = aᵢ + relu(Wᵢ₊₁aᵢ + bᵢ₊₁) for each of `depth`
/// residual blocks; heads on the last one.
struct TranslatorConfig {
  size_t condition = 0;   ///< m
  size_t hidden = 0;      ///< h
  size_t latent = 0;      ///< d
  size_t components = 1;  ///< K
  size_t auxiliary = 0;   ///< size of y; 0 = no auxiliary head
  size_t depth = 1;       ///< residual blocks; the paper has 1
  float bound = 0.0f;     ///< means = bound·tanh(·); 0 = unbounded
  float initial_log_std = 0.0f;
  /// A point for each condition instead of a density: K = 1, and no logits or stds.
  bool deterministic = false;
  bool component_stds = false;  ///< log-stds [K, d] instead of [d]

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
    visit(self.deterministic, Field("deterministic", "deterministic"));
    visit(self.component_stds, Field("componentStds", "component stds"));
    visit(self.bound, Field("bound", "bound").least(0).said("a finite number, 0 or above"));
    visit(self.initial_log_std,
          Field("initialLogStd", "initial log-std").least(-20).most(20).said("a finite number in [-20, 20]"));
  }

  void check() const;  ///< throws Error(ERR_INVALID_ARGUMENT)
};

}  // namespace tr0n
