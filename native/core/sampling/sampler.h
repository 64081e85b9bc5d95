#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/cancel.h"
#include "core/objective.h"
#include "core/sampling/config.h"
#include "core/translator/auxiliary_place.h"
#include "core/translator/translator.h"
#include "device/kernels/prior.h"

namespace tr0n {

class LatentSource;

/// B conditions, `count` chains each. Chain (b, i) has the random stream (streams[b], first + i).
struct SampleRequest {
  const float* conditions = nullptr;  ///< [B, m]
  /// [B, m], what the translator is fed with where that is not what the objective takes; null: `conditions`.
  const float* translator_conditions = nullptr;
  size_t condition_count = 0;  ///< B
  /// y of the translator's auxiliary head in the objective's latent; its size is the head's.
  size_t auxiliary_begin = 0;
  /// s [auxiliary], above 0: candidates have y ~ N(ŷ(c), diag s²). Needed at Start::resample. Chains of other
  /// starts of the translator begin at ŷ(c) itself.
  const float* auxiliary_stds = nullptr;
  const uint32_t* streams = nullptr;  ///< [B]
  size_t count = 1;
  uint32_t first = 0;
  const float* starts = nullptr;  ///< [B·count, d], finite: stand in for draws of the prior at Start::prior
  const LatentSource* source =
      nullptr;  ///< what draws of the prior are at Start::prior; null: the density's own
  Device* device =
      nullptr;  ///< where to compute without a translator, whose device it is otherwise; null: the CPU
};

struct SampleProgress {
  size_t step = 0, steps = 0;       ///< step 0: the start is ready; all rounds together
  const float* energies = nullptr;  ///< [B·count], the objective's energy (without λ and prior) at latents
  std::function<const float*()> latents;  ///< [B·count, d], brought from the device when it is called
  size_t chains = 0;
};

struct SampleResult {
  std::vector<float> latents;   ///< [B·count, d]
  std::vector<float> energies;  ///< [B·count], the objective's energy at the latents
  std::vector<float>
      ess;  ///< [B], mean effective sample size of the first round's final candidates; NaN without resampling
  std::vector<uint32_t> candidates;  ///< [B], M in the end; 0 without resampling
  std::vector<float> acceptance;     ///< [B], mean accept probability; NaN without MALA
  std::vector<float> step_sizes;     ///< [B], geometric mean of MALA's h in the end; NaN without MALA
  std::vector<float> trace;          ///< [steps + 1, B], mean energy of a condition's chains at every report
  uint64_t forwards = 0, gradients = 0;  ///< evaluations of f∘G and of its gradient, rows
};

/// Runs all chains. MALA's proposals and resampling's
/// candidates that lie outside the prior's support (MALA makes none) or have no finite energy are never
/// taken. `progress` (may be empty) is called on this thread after the start and after every step.
/// `translator` may be null when the start is the prior. Throws ERR_DIVERGED, naming the step and chain and
/// with the energies so far (Error::trace), when an energy or a latent is not finite, ERR_ABORTED when
/// cancelled.
SampleResult sample(Objective& objective, const Translator* translator, const Prior& prior,
                    const SamplerConfig& config, const SampleRequest& request, CancelToken& cancel,
                    const std::function<void(const SampleProgress&)>& progress);

}  // namespace tr0n
