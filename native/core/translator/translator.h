#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/rng.h"
#include "core/translator/config.h"
#include "core/translator/parameters.h"
#include "device/buffer.h"
#include "device/device.h"

namespace tr0n {

/// What the mixture head says for n conditions, on the host.
struct Mixture {
  size_t n = 0, components = 0, latent = 0, auxiliary = 0;
  std::vector<float> logits;  ///< [n, K]
  std::vector<float> means;   ///< [n, K, d]
  std::vector<float> stds;    ///< [d] or [K, d], exp(s) + 1e-6; [d] of 0 where there is no density
  std::vector<float> y;       ///< [n, auxiliary]
};

struct LossOptions {
  /// Weight of the negative log-likelihood, or of the latent's mean squared error where the translator is
  /// deterministic; the auxiliary mean squared error has weight 1.
  float alpha = 1.0f;
};

/// The parameters live in the device's memory. Not safe for concurrent mutation: the addon holds a lock per
/// translator.
class Translator {
 public:
  /// PyTorch's default Linear initialisation (uniform ±1/√fan_in), drawn with Purpose::init.
  Translator(Device& device, const TranslatorConfig& config, uint64_t seed);
  /// With these values, flat; throws on a wrong count.
  Translator(Device& device, const TranslatorConfig& config, const float* values, size_t count);

  const TranslatorConfig& config() const { return config_; }
  Device& device() const { return device_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  size_t parameter_count() const { return parameter_count_; }
  std::vector<float> values() const;                   ///< flat copy
  void copy_values(float* flat) const;                 ///< the same into [parameter_count]
  void set_values(const float* values, size_t count);  ///< throws on a wrong count
  float* data() { return values_.data(); }             ///< placed, in the device's memory
  const float* data() const { return values_.data(); }
  size_t placed_count() const { return values_.size(); }  ///< elements there, gaps included

  /// How products are computed; fp32 unless set.
  void set_precision(Precision precision) { precision_ = precision; }
  Precision precision() const { return precision_; }

  Mixture forward(const float* c, size_t n) const;

  /// Mean loss over the batch and, where `gradients` is given, its gradient [parameter_count] (overwritten).
  /// z [n, d], y [n, auxiliary] (null without an auxiliary head).
  double loss(const float* c, const float* z, const float* y, size_t n, const LossOptions& options,
              float* gradients) const;

  /// log q(z_i|c_i) of n pairs. Throws where the translator is deterministic.
  void log_density(const float* c, const float* z, size_t n, double* out) const;

  /// z [n, count, d]: `count` draws of q(z|c_i), or so often its point, for each of n conditions. Draw j has
  /// the random numbers of chain (i, j), Purpose::component and component_normal.
  void draw(const float* c, size_t n, size_t count, const Philox& rng, float* z, CancelToken& cancel) const;

 private:
  Translator(Device& device, const TranslatorConfig& config);

  Device& device_;
  TranslatorConfig config_;
  std::vector<Parameter> parameters_;
  size_t parameter_count_ = 0;
  Precision precision_ = Precision::fp32;
  Buffer<float> values_;
};

}  // namespace tr0n
