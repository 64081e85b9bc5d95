#pragma once
#include <vector>

#include "core/buffer.h"
#include "core/translator.h"

namespace tr0n {

/// q(z|c_b) of B conditions, kept on the translator's device for as long as a sampler needs it.
class ConditionMixture {
 public:
  /// conditions [B, m] on the host.
  ConditionMixture(const Translator& translator, const float* conditions, size_t count);
  /// Its log_stds are null where the translator is deterministic.
  const MixtureView& view() const { return view_; }
  std::vector<float> logits() const;                 ///< [B, K] on the host
  std::vector<float> means(size_t condition) const;  ///< [K, d] on the host

 private:
  Buffer<float> logits_, means_;
  MixtureView view_;
};

}  // namespace tr0n
