#pragma once
#include <vector>

#include "core/translator/auxiliary_place.h"
#include "core/translator/translator.h"
#include "device/buffer.h"

namespace tr0n {

/// q(·|c_b) over the objective's latents for B conditions, kept on the translator's device for as long as a
/// sampler needs it. With an auxiliary head q(z, y|c) = q(z|c)·N(y; ŷ(c), diag s²): every component's mean
/// has the head's ŷ in y's place, and every standard deviation s.
class ConditionMixture {
 public:
  /// conditions [B, m] on the host. `stds` [place.size] is s; null: next to nothing.
  ConditionMixture(const Translator& translator, const AuxiliaryPlace& place, const float* stds,
                   const float* conditions, size_t count);
  /// Its log_stds are null where the translator is deterministic.
  const MixtureView& view() const { return view_; }
  std::vector<float> logits() const;                 ///< [B, K] on the host
  std::vector<float> means(size_t condition) const;  ///< [K, d] on the host
  const float* auxiliary(size_t condition) const {   ///< ŷ [place.size] on the host
    return auxiliary_.data() + condition * place_.size;
  }

 private:
  void join_means(const float* z_means, size_t begin, size_t n);
  void join_stds(const Translator& translator, const float* stds);

  const AuxiliaryPlace place_;
  const size_t latent_;  ///< d, y included
  Buffer<float> logits_, means_, log_stds_;
  std::vector<float> auxiliary_;
  MixtureView view_;
};

}  // namespace tr0n
