/// Momentum SGD with noise on one latent per chain: method.md "Sampling (official)", the simple variant.
#include "core/sampler_run.h"

namespace tr0n {

void run_langevin(SamplerRun& run) {
  const SamplerConfig& config = run.config;
  const size_t n = run.n, d = run.d;
  Mirror<float> gradients(run.device, n * d);
  Buffer<float> momenta(run.device, n * d);

  for (size_t t = 1; t <= config.steps; ++t) {
    run.evaluate(run.all(run.z.host()), run.energies.host(), gradients.host(), static_cast<uint32_t>(t));
    run.require_finite_energies(t - 1);
    run.energies.push();
    run.report(t - 1);
    run.cancel.throw_if_cancelled();
    gradients.push();
    run.kernels.target_gradient(run.prior, config.fidelity, config.prior_weight, 0, n, run.z.device(),
                                run.energies.device(), nullptr, gradients.device());
    run.kernels.langevin_update(n, d, run.chains.device(), static_cast<uint32_t>(t), run.rng, t == 1,
                                static_cast<float>(config.learning_rate), static_cast<float>(config.momentum),
                                static_cast<float>(config.noise), config.clip,
                                static_cast<float>(config.bound), gradients.device(), momenta.data(),
                                run.z.device());
    run.z.pull();
    run.require_finite_latents(t);
  }
  run.energy(run.all(run.z.host()), run.energies.host());
  run.require_finite_energies(config.steps);
  run.energies.push();
  run.report(config.steps);
}

}  // namespace tr0n
