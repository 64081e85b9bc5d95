#pragma once
#include <cmath>
#include <vector>

#include "core/translator/translator.h"
#include "device/kernels/mixture_math.h"

/// Draws and densities of mixtures on the host, one at a time, to hold the kernels to.
namespace tr0n::test {

inline void draw_mixture(const Mixture& mixture, size_t row, const Philox& rng, Chain chain, uint32_t step,
                         float* z) {
  const size_t d = mixture.latent;
  const size_t k = choose_component(mixture.logits.data() + row * mixture.components, mixture.components,
                                    rng.uniform(chain, step, Purpose::component));
  const float* mean = mixture.means.data() + (row * mixture.components + k) * d;
  rng.normal(chain, step, Purpose::component_normal, z, d);
  const float* stds = mixture.stds.data() + (mixture.stds.size() > d ? k * d : 0);
  for (size_t j = 0; j < d; ++j) z[j] = mean[j] + stds[j] * z[j];
}

inline double mixture_log_density(const Mixture& mixture, size_t row, const float* z) {
  const size_t components = mixture.components, d = mixture.latent, tables = mixture.stds.size() / d;
  std::vector<double> inverse(mixture.stds.size()), log_sums(tables), workspace(components);
  for (size_t j = 0; j < mixture.stds.size(); ++j) {
    inverse[j] = 1 / static_cast<double>(mixture.stds[j]);
    log_sums[j / d] += std::log(static_cast<double>(mixture.stds[j]));
  }
  return tr0n::log_density(mixture.logits.data() + row * components,
                           mixture.means.data() + row * components * d,
                           {inverse.data(), log_sums.data(), tables > 1}, components, d, z, workspace.data());
}

}  // namespace tr0n::test
