#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/fields.h"
#include "device/kernels/condition.h"

namespace tr0n {

/// What is held against a pair's latent.
enum class Loss {
  latent,   ///< q(z|c)'s negative log-likelihood; a deterministic translator's mean squared error
  relaxed,  ///< E(z', c) of a relaxed draw z' of q(z|c), through f∘G; the pair's z is not looked at
};

template <>
struct Names<Loss> {
  static constexpr std::pair<const char*, Loss> all[] = {{"latent", Loss::latent},
                                                         {"relaxed", Loss::relaxed}};
};

template <>
struct Names<ConditionNoiseKind> {
  static constexpr std::pair<const char*, ConditionNoiseKind> all[] = {
      {"none", ConditionNoiseKind::none},
      {"isotropic", ConditionNoiseKind::isotropic},
      {"adaptive", ConditionNoiseKind::adaptive},
      {"covariance", ConditionNoiseKind::covariance}};
};

struct TrainerConfig {
  size_t epochs = 6;
  size_t batch = 256;
  float learning_rate = 1e-3f;  ///< cosine to 0 over all steps
  float clip = 1.0f;            ///< global gradient norm; 0 = off
  float alpha = 1.0f;
  Loss loss = Loss::latent;
  float temperature = 1.0f;    ///< relaxed: of the draw's component
  size_t auxiliary_begin = 0;  ///< relaxed: where the auxiliary head's y lies in the objective's latent
  bool sample_labels = false;  ///< c holds probabilities: feed one-hot(y), y ~ c, drawn afresh each epoch
  ConditionNoiseKind noise = ConditionNoiseKind::none;
  float noise_scale = 0.0f;             ///< isotropic: s. adaptive: ε is rescaled to noise_scale·‖c‖
  std::vector<float> noise_covariance;  ///< covariance: [m, m], positive semi-definite
  uint64_t seed = 0;

  /// All but `noise_covariance`, whose size is the translator's.
  template <class Self, class Visit>
  static void fields(Self& self, const Visit& visit) {
    visit(self.epochs, Field("epochs", "epochs").least(1).most(1 << 20).needed());
    visit(self.batch, Field("batch", "batch").least(1).most(1 << 20).in("pairs").needed());
    visit(self.learning_rate,
          Field("learningRate", "learning rate").above(0).said("a finite number above 0"));
    visit(self.clip, Field("clip", "clip").least(0).said("a finite number, 0 or above"));
    visit(self.alpha, Field("alpha", "alpha").least(0).said("a finite number, 0 or above"));
    visit(self.loss, Field("loss", "loss"));
    visit(self.temperature, Field("temperature", "temperature").above(0).said("a finite number above 0"));
    visit(self.auxiliary_begin, Field("auxiliaryBegin", "auxiliary begin").least(0).in("dimensions"));
    visit(self.sample_labels, Field("sampleLabels", "sample labels"));
    visit(self.noise, Field("noise", "noise"));
    visit(self.noise_scale, Field("noiseScale", "noise scale").least(0).said("a finite number, 0 or above"));
    visit(self.seed, Field("seed", "seed").random_seed());
  }
};

}  // namespace tr0n
