/// Momentum SGD with noise on one latent per chain: method.md "Sampling (official)", the simple variant;
/// every group of its dimensions by a rule of its own.
#include <memory>
#include <vector>

#include "core/sampling/group.h"

namespace tr0n {

void run_langevin(SamplerRun& run) {
  const SamplerConfig& config = run.config;
  Buffer<float> gradients(run.device, run.n * run.d);
  std::vector<std::unique_ptr<SamplerGroup>> groups = make_groups(run, 1);
  for (const auto& group : groups) group->take_latents();

  for (size_t t = 1; t <= config.steps; ++t) {
    run.evaluate(run.all(run.z.device()), run.energies.device(), gradients.data(), static_cast<uint32_t>(t));
    run.observe();
    run.require_finite_energies(t - 1);
    run.report(t - 1);
    run.cancel.throw_if_cancelled();
    for (const auto& group : groups) group->move_latents(t, gradients.data());
    run.check_latents(t);
  }
  run.energy(run.all(run.z.device()), run.energies.device());
  run.observe();
  run.require_finite_energies(config.steps);
  run.report(config.steps);
}

}  // namespace tr0n
