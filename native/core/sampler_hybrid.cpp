/// The official sampler: method.md "Sampling (official)". Every chain moves all K means of its mixture and
/// soft weights over them; its latent is their blend. From the prior there is one component, a draw of it.
#include <algorithm>

#include "core/sampler_run.h"

namespace tr0n {
namespace {

void start_components(SamplerRun& run, size_t components, Mirror<float>& means, Mirror<float>& weights) {
  const size_t size = components * run.d, count = run.request.count;
  if (run.config.start == Start::prior) {
    start_chains(run);
    std::copy_n(run.z.host(), run.n * run.d, means.host());
    std::fill_n(weights.host(), run.n * size, 0.0f);
  } else {
    const std::vector<float> logits = run.mixture().logits();
    for (size_t b = 0; b < run.request.condition_count; ++b) {
      const std::vector<float> mixture_means = run.mixture().means(b);
      for (size_t i = b * count; i < (b + 1) * count; ++i) {
        std::copy(mixture_means.begin(), mixture_means.end(), means.host() + i * size);
        for (size_t k = 0; k < components; ++k)
          std::fill_n(weights.host() + i * size + k * run.d, run.d, logits[b * components + k]);
      }
    }
  }
  means.push();
  weights.push();
}

}  // namespace

void run_hybrid(SamplerRun& run) {
  const SamplerConfig& config = run.config;
  const size_t n = run.n, d = run.d;
  const size_t components = config.start == Start::prior ? 1 : run.mixture().view().components,
               size = components * d;
  Mirror<float> means(run.device, n * size), weights(run.device, n * size), gradients(run.device, n * d);
  Buffer<float> d_means(run.device, n * size), d_weights(run.device, n * size), momenta(run.device, n * size);
  Buffer<float> first_moment(run.device, n * size), second_moment(run.device, n * size);
  first_moment.fill(0);
  second_moment.fill(0);
  start_components(run, components, means, weights);

  AdamStep adam;
  adam.learning_rate = config.weight_learning_rate;
  adam.clip = config.clip;
  const auto combine = [&](size_t step) {
    run.kernels.hybrid_combine(n, components, d, means.device(), weights.device(), run.z.device());
    run.z.pull();
    run.require_finite_latents(step);
  };
  combine(0);
  for (size_t t = 1; t <= config.steps; ++t) {
    run.evaluate(run.all(run.z.host()), run.energies.host(), gradients.host(), static_cast<uint32_t>(t));
    run.require_finite_energies(t - 1);
    run.energies.push();
    run.report(t - 1);
    run.cancel.throw_if_cancelled();
    gradients.push();
    run.kernels.target_gradient(run.prior, config.fidelity, config.prior_weight, 0, n, run.z.device(),
                                run.energies.device(), nullptr, gradients.device());
    run.kernels.hybrid_gradients(n, components, d, means.device(), weights.device(), run.z.device(),
                                 gradients.device(), d_means.data(), d_weights.data());
    run.kernels.langevin_update(n, size, run.chains.device(), static_cast<uint32_t>(t), run.rng, t == 1,
                                static_cast<float>(config.learning_rate), static_cast<float>(config.momentum),
                                static_cast<float>(config.noise), config.clip,
                                static_cast<float>(config.bound), d_means.data(), momenta.data(),
                                means.device());
    adam.step = t - 1;
    run.kernels.adam_rows(adam, n, size, d_weights.data(), first_moment.data(), second_moment.data(),
                          weights.device());
    combine(t);
  }
  run.energy(run.all(run.z.host()), run.energies.host());
  run.require_finite_energies(config.steps);
  run.energies.push();
  run.report(config.steps);
}

}  // namespace tr0n
