#include <cmath>
#include <vector>

#include "core/sampling/mala_scale.h"
#include "core/sampling/run.h"

namespace tr0n {

Mala::Mala(SamplerRun& run, const std::vector<double>& log_steps)
    : run_(run),
      standard_(run.prior),
      weights_{
          run.config.fidelity, run.config.prior_weight,
          run.config.max_drift == SamplerConfig::kAuto ? default_max_drift(run.d) : run.config.max_drift},
      u_(run.device, run.n * run.d),
      drift_(run.device, run.n * run.d),
      proposal_(run.device, run.n * run.d),
      proposal_drift_(run.device, run.n * run.d),
      proposal_z_(run.n * run.d),
      proposal_energies_(run.device, run.n),
      target_energies_(run.device, run.n),
      targets_(run.device, run.n),
      states_(run.device, run.n) {
  standard_prior_.dim = run.d;
  for (size_t i = 0; i < run.n; ++i) states_.host()[i] = {0, log_steps[i / run.request.count], 0};
}

void Mala::to_target(Mirror<float>& u, const float* z, const float* energies, Mirror<float>& gradients) {
  standard_.pull_back(weights_, run_.n, u.host(), z, energies, target_energies_.host(), gradients.host());
  target_energies_.push();
  gradients.push();
  run_.kernels.target->gradient({standard_prior_, 1, weights_.prior, run_.n, u.device(),
                                 target_energies_.device(), targets_.device(), gradients.device()});
}

void Mala::run(size_t done) {
  const SamplerConfig& config = run_.config;
  const size_t n = run_.n, d = run_.d;
  float* const z = run_.z.host();
  standard_.to_standard(n, z, u_.host());
  u_.push();
  run_.evaluate(run_.all(z), run_.energies.host(), drift_.host());
  run_.require_finite_energies(done);
  run_.require_finite("an element of its gradient", drift_.host(), d, done);
  run_.energies.push();
  to_target(u_, z, run_.energies.host(), drift_);
  targets_.pull();
  for (size_t i = 0; i < n; ++i) states_.host()[i].energy = targets_.host()[i];
  states_.push();
  if (done == 0) run_.report(0);

  for (size_t t = done + 1; t <= done + config.steps; ++t) {
    run_.cancel.throw_if_cancelled();
    const uint32_t step = static_cast<uint32_t>(t);
    run_.kernels.mala->propose({n, d, states_.device(), run_.chains.device(), step, run_.rng, u_.device(),
                                drift_.device(), proposal_.device()});
    proposal_.pull();
    standard_.from_standard(n, proposal_.host(), proposal_z_.data());
    run_.evaluate(run_.all(proposal_z_.data()), proposal_energies_.host(), proposal_drift_.host());
    proposal_energies_.push();
    to_target(proposal_, proposal_z_.data(), proposal_energies_.host(), proposal_drift_);
    const double adapt = config.adapt == Adapt::chain ? std::pow(static_cast<double>(t), -0.6) : 0;
    run_.kernels.mala->accept({n, d, run_.chains.device(), step, run_.rng, adapt, config.target_accept,
                               proposal_.device(), proposal_drift_.device(), proposal_energies_.device(),
                               targets_.device(), states_.device(), u_.device(), drift_.device(),
                               run_.energies.device()});
    u_.pull();
    standard_.from_standard(n, u_.host(), z);
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
