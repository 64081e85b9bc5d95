#include <cmath>
#include <vector>

#include "core/sampling/mala_scale.h"
#include "core/sampling/run.h"

namespace tr0n {

Mala::Mala(SamplerRun& run, const std::vector<double>& log_steps)
    : run_(run),
      standard_(run.device, run.prior),
      weights_{
          run.config.fidelity, run.config.prior_weight,
          run.config.max_drift == SamplerConfig::kAuto ? default_max_drift(run.d) : run.config.max_drift},
      u_(run.device, run.n * run.d),
      drift_(run.device, run.n * run.d),
      proposal_(run.device, run.n * run.d),
      proposal_z_(run.device, run.n * run.d),
      proposal_drift_(run.device, run.n * run.d),
      proposal_energies_(run.device, run.n),
      target_energies_(run.device, run.n),
      targets_(run.device, run.n),
      states_(run.device, run.n) {
  standard_prior_.dim = run.d;
  for (size_t i = 0; i < run.n; ++i) states_.host()[i] = {0, log_steps[i / run.request.count], 0};
}

// Their drift is the same in both directions and has no part in whether a proposal is accepted.
void Mala::keep_groups(float* proposal) const {
  size_t begin = 0;
  for (const UpdateGroup& group : run_.config.groups) {
    if (group.rule == Rule::kept)
      run_.kernels.rows->copy(
          {run_.n, group.size, u_.data() + begin, run_.d, nullptr, 0, 1, proposal + begin, run_.d});
    begin += group.size;
  }
}

void Mala::to_target(const float* u, const float* z, const float* energies, float* gradients) {
  standard_.pull_back(weights_, run_.n, u, z, energies, target_energies_.data(), gradients);
  run_.kernels.target->gradient(
      {standard_prior_, 1, weights_.prior, run_.n, u, target_energies_.data(), targets_.device(), gradients});
}

void Mala::run(size_t done) {
  const SamplerConfig& config = run_.config;
  const size_t n = run_.n, d = run_.d;
  float* const z = run_.z.device();
  standard_.to_standard(n, z, u_.data());
  run_.evaluate(run_.all(z), run_.energies.device(), drift_.data());
  run_.observe();
  run_.require_finite_energies(done);
  run_.require_finite("an element of its gradient", drift_.data(), d, done);
  to_target(u_.data(), z, run_.energies.device(), drift_.data());
  targets_.pull();
  for (size_t i = 0; i < n; ++i) states_.host()[i].energy = targets_.host()[i];
  states_.push();
  if (done == 0) run_.report(0);

  for (size_t t = done + 1; t <= done + config.steps; ++t) {
    run_.cancel.throw_if_cancelled();
    const uint32_t step = static_cast<uint32_t>(t);
    run_.kernels.mala->propose({n, d, states_.device(), run_.chains.device(), step, run_.rng, u_.data(),
                                drift_.data(), proposal_.data()});
    keep_groups(proposal_.data());
    standard_.from_standard(n, proposal_.data(), proposal_z_.data());
    run_.evaluate(run_.all(proposal_z_.data()), proposal_energies_.data(), proposal_drift_.data());
    to_target(proposal_.data(), proposal_z_.data(), proposal_energies_.data(), proposal_drift_.data());
    const double adapt = config.adapt == Adapt::chain ? std::pow(static_cast<double>(t), -0.6) : 0;
    run_.kernels.mala->accept({n, d, run_.chains.device(), step, run_.rng, adapt, config.target_accept,
                               proposal_.data(), proposal_drift_.data(), proposal_energies_.data(),
                               targets_.device(), states_.device(), u_.data(), drift_.data(),
                               run_.energies.device()});
    standard_.from_standard(n, u_.data(), z);
    run_.observe();
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
