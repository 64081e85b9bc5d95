/// The Metropolis-adjusted Langevin algorithm: method.md "Recommended sampler", 3.
#include <cmath>
#include <vector>

#include "core/sampler_run.h"

namespace tr0n {

Mala::Mala(SamplerRun& run, const std::vector<double>& log_steps)
    : run_(run),
      drift_(run.device, run.n * run.d),
      proposal_(run.device, run.n * run.d),
      proposal_drift_(run.device, run.n * run.d),
      proposal_energies_(run.device, run.n),
      targets_(run.device, run.n),
      states_(run.device, run.n) {
  for (size_t i = 0; i < run.n; ++i) states_.host()[i] = {0, log_steps[i / run.request.count], 0};
}

void Mala::run(size_t done) {
  const SamplerConfig& config = run_.config;
  const size_t n = run_.n, d = run_.d;
  const Prior& prior = run_.device_prior.view();
  run_.evaluate(run_.all(run_.z.host()), run_.energies.host(), drift_.host());
  run_.require_finite_energies(done);
  run_.require_finite("an element of its gradient", drift_.host(), d, done);
  run_.energies.push();
  drift_.push();
  run_.kernels.target_gradient(prior, config.fidelity, config.prior_weight, config.max_drift, n,
                               run_.z.device(), run_.energies.device(), targets_.device(), drift_.device());
  targets_.pull();
  for (size_t i = 0; i < n; ++i) states_.host()[i].energy = targets_.host()[i];
  states_.push();
  if (done == 0) run_.report(0);

  for (size_t t = done + 1; t <= done + config.steps; ++t) {
    run_.cancel.throw_if_cancelled();
    const uint32_t step = static_cast<uint32_t>(t);
    run_.kernels.mala_propose(n, d, states_.device(), run_.chains.device(), step, run_.rng, run_.z.device(),
                              drift_.device(), proposal_.device());
    proposal_.pull();
    run_.evaluate(run_.all(proposal_.host()), proposal_energies_.host(), proposal_drift_.host());
    proposal_energies_.push();
    proposal_drift_.push();
    run_.kernels.target_gradient(prior, config.fidelity, config.prior_weight, config.max_drift, n,
                                 proposal_.device(), proposal_energies_.device(), targets_.device(),
                                 proposal_drift_.device());
    const double adapt = config.adapt == Adapt::chain ? std::pow(static_cast<double>(t), -0.6) : 0;
    run_.kernels.mala_accept(n, d, run_.chains.device(), step, run_.rng, adapt, config.target_accept,
                             proposal_.device(), proposal_drift_.device(), proposal_energies_.device(),
                             targets_.device(), states_.device(), run_.z.device(), drift_.device(),
                             run_.energies.device());
    run_.z.pull();
    run_.energies.pull();
    run_.report(t);
  }
  states_.pull();
}

void Mala::finish() {
  const SamplerConfig& config = run_.config;
  const size_t count = run_.request.count;
  const size_t rounds = config.start == Start::resample ? config.rounds : 1;
  const auto steps = static_cast<double>(count * config.steps * rounds);
  for (size_t b = 0; b < run_.request.condition_count; ++b) {
    double accepted = 0, log_step = 0;
    for (size_t i = b * count; i < (b + 1) * count; ++i) {
      accepted += states_.host()[i].acceptance;
      log_step += states_.host()[i].log_step;
    }
    run_.result.acceptance[b] = static_cast<float>(accepted / steps);
    run_.result.step_sizes[b] = static_cast<float>(std::exp(log_step / static_cast<double>(count)));
  }
}

}  // namespace tr0n
