/// The Metropolis-adjusted Langevin algorithm: method.md "Recommended sampler", 3.
#include <cmath>

#include "core/sampler_run.h"

namespace tr0n {

void run_mala(SamplerRun& run) {
  const SamplerConfig& config = run.config;
  const size_t n = run.n, d = run.d;
  Mirror<float> drift(run.device, n * d), proposal(run.device, n * d), proposal_drift(run.device, n * d);
  Mirror<float> proposal_energies(run.device, n);
  Mirror<double> targets(run.device, n);
  Mirror<MalaState> states(run.device, n);

  run.evaluate(run.all(run.z.host()), run.energies.host(), drift.host());
  run.require_finite_energies(0);
  run.require_finite("an element of its gradient", drift.host(), d, 0);
  run.energies.push();
  drift.push();
  run.kernels.target_gradient(run.prior, config.fidelity, config.prior_weight, config.max_drift, n,
                              run.z.device(), run.energies.device(), targets.device(), drift.device());
  targets.pull();
  for (size_t i = 0; i < n; ++i) states.host()[i] = {targets.host()[i], std::log(config.step_size), 0};
  states.push();
  run.report(0);

  for (size_t t = 1; t <= config.steps; ++t) {
    run.cancel.throw_if_cancelled();
    const uint32_t step = static_cast<uint32_t>(t);
    run.kernels.mala_propose(n, d, states.device(), run.chains.device(), step, run.rng, run.z.device(),
                             drift.device(), proposal.device());
    proposal.pull();
    run.evaluate(run.all(proposal.host()), proposal_energies.host(), proposal_drift.host());
    proposal_energies.push();
    proposal_drift.push();
    run.kernels.target_gradient(run.prior, config.fidelity, config.prior_weight, config.max_drift, n,
                                proposal.device(), proposal_energies.device(), targets.device(),
                                proposal_drift.device());
    const double adapt = config.adapt ? std::pow(static_cast<double>(t), -0.6) : 0;
    run.kernels.mala_accept(n, d, run.chains.device(), step, run.rng, adapt, config.target_accept,
                            proposal.device(), proposal_drift.device(), proposal_energies.device(),
                            targets.device(), states.device(), run.z.device(), drift.device(),
                            run.energies.device());
    run.z.pull();
    run.energies.pull();
    run.report(t);
  }

  states.pull();
  const size_t count = run.request.count;
  std::vector<double> accepted(run.request.condition_count, 0.0);
  for (size_t i = 0; i < n; ++i) accepted[i / count] += states.host()[i].acceptance;
  for (size_t b = 0; b < accepted.size(); ++b)
    run.result.acceptance[b] = static_cast<float>(accepted[b] / static_cast<double>(count * config.steps));
}

}  // namespace tr0n
