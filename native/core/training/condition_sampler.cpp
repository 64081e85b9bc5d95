#include "core/training/condition_sampler.h"

#include <cmath>
#include <string>

#include "base/error.h"
#include "core/math/cholesky.h"

namespace tr0n {

ConditionSampler::ConditionSampler(Device& device, const TrainerConfig& config, size_t capacity, size_t m)
    : kernels_(device.kernels()),
      rng_(config.seed),
      m_(m),
      sample_labels_(config.sample_labels),
      noise_(config.noise),
      scale_(config.noise_scale),
      factor_(device, noise_ == ConditionNoiseKind::covariance ? m * m : 0),
      workspace_(device, noise_ == ConditionNoiseKind::none ? 0 : capacity * m) {
  if (noise_ == ConditionNoiseKind::covariance) {
    factor_.upload(cholesky(config.noise_covariance, m).data(), m * m);
  } else if (noise_ != ConditionNoiseKind::none && !(std::isfinite(scale_) && scale_ >= 0)) {
    throw Error("ERR_INVALID_ARGUMENT",
                "training: noise scale: expected a finite number, 0 or above, got " + std::to_string(scale_));
  }
}

void ConditionSampler::apply(const Chain* chains, uint32_t step, size_t n, float* c) {
  if (sample_labels_) kernels_.condition->labels({n, m_, chains, step, rng_, c, c});
  if (noise_ != ConditionNoiseKind::none)
    kernels_.condition->noise(
        {noise_, scale_, factor_.data(), n, m_, chains, step, rng_, c, workspace_.data(), c});
}

}  // namespace tr0n
