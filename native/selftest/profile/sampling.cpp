#include <cmath>

#include "core/prior/standard_latent.h"
#include "selftest/arrays.h"
#include "selftest/inputs.h"
#include "selftest/profile/workloads.h"

namespace tr0n::selftest {
namespace {

constexpr uint32_t kStep = 7;
constexpr size_t kCandidates = 16;

Philox rng() { return Philox(kInputSeed); }

std::vector<uint32_t> each_row(size_t n, size_t repeats) {
  std::vector<uint32_t> rows(n * repeats);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<uint32_t>(i / repeats);
  return rows;
}

/// n mixtures in a device's memory.
struct Mixtures {
  size_t n;
  Sizes sizes;
  Array<float> logits, means, log_stds;
  bool component_stds;
  Mixtures(Device& device, const Sizes& shape, size_t count, bool own_stds = false)
      : n(count),
        sizes(shape),
        logits(device, normals(count * shape.components, 1)),
        means(device, normals(count * shape.components * shape.latent, 2)),
        log_stds(device, normals((own_stds ? shape.components : 1) * shape.latent, 3, 0.1f)),
        component_stds(own_stds) {}
  MixtureView view() const {
    return {n, sizes.components, sizes.latent, logits.data(), means.data(), log_stds.data(), component_stds};
  }
};

Prior normal_prior(size_t d) {
  Prior prior;
  prior.dim = d;
  return prior;
}

Workload langevin(size_t n, size_t d) {
  return {"Langevin update", n, Precision::fp32, 0, [=](Device& device, const auto& measured) {
            const Array<Chain> who(device, chains(n, 1));
            const Array<float> gradients(device, normals(n * d, 2));
            Array<float> momenta(device, normals(n * d, 3)), z(device, normals(n * d, 4));
            measured([&] {
              device.kernels().langevin->update({n, d, who.data(), kStep, 0, rng(), false, 0.1f, 0.99f, 0.01f,
                                                 1, 2, gradients.data(), momenta.data(), z.data()});
            });
          }};
}

Workload adam(size_t n, size_t d) {
  return {"Adam update", n, Precision::fp32, 0, [=](Device& device, const auto& measured) {
            const Array<float> gradients(device, normals(n * d, 2));
            Array<float> m(device, normals(n * d, 3)), v(device, uniforms(n * d, 4)),
                x(device, normals(n * d, 5));
            AdamStep step;
            step.step = kStep;
            step.clip = 1;
            measured([&] {
              device.kernels().optimise->rows({step, n, d, gradients.data(), m.data(), v.data(), x.data()});
            });
          }};
}

Workload metropolis(size_t n, size_t d) {
  return {"Metropolis update", n, Precision::fp32, 0, [=](Device& device, const auto& measured) {
            const Array<Chain> who(device, chains(n, 1));
            Array<MalaState> states(device, std::vector<MalaState>(n, MalaState{50, -3, 0}));
            Array<float> z(device, normals(n * d, 2)), drift(device, normals(n * d, 3)),
                energies(device, normals(n, 4));
            const Array<float> new_drift(device, normals(n * d, 5)), new_energies(device, normals(n, 6));
            const Array<double> targets(device, std::vector<double>(n, 50.5));
            Array<float> proposal(device, n * d);
            measured([&] {
              device.kernels().mala->propose(
                  {n, d, states.data(), who.data(), kStep, rng(), z.data(), drift.data(), proposal.data()});
              device.kernels().mala->accept({n, d, who.data(), kStep, rng(), 0.5, 0.57, proposal.data(),
                                             new_drift.data(), new_energies.data(), targets.data(),
                                             states.data(), z.data(), drift.data(), energies.data()});
            });
          }};
}

Workload target(size_t n, size_t d) {
  return {"target and its gradient", n, Precision::fp32, 0, [=](Device& device, const auto& measured) {
            const Array<float> z(device, normals(n * d, 1)), energies(device, normals(n, 2));
            Array<float> gradients(device, normals(n * d, 3));
            Array<double> targets(device, n);
            measured([&] {
              device.kernels().target->gradient(
                  {normal_prior(d), 1, 1, n, z.data(), energies.data(), targets.data(), gradients.data()});
            });
          }};
}

Workload standard(size_t n, size_t d, Prior::Kind kind, const char* name) {
  return {name, n, Precision::fp32, 0, [=](Device& device, const auto& measured) {
            Prior prior = normal_prior(d);
            prior.kind = kind;
            prior.std = 1.5f;
            prior.bound = 2;
            const StandardLatent coordinates(device, prior);
            const Array<float> u(device, normals(n * d, 1)), energies(device, normals(n, 2));
            Array<float> z(device, n * d), gradients(device, normals(n * d, 3)), targets(device, n);
            measured([&] {
              coordinates.from_standard(n, u.data(), z.data());
              coordinates.pull_back({1, 0.5, 10}, n, u.data(), z.data(), energies.data(), targets.data(),
                                    gradients.data());
            });
          }};
}

Workload moved_rows(size_t n, size_t d) {
  return {"rows copied, added and checked", n, Precision::fp32, 0, [=](Device& device, const auto& measured) {
            const Array<float> from(device, normals(n * d, 1));
            const Array<uint32_t> index(device, integers(n, 2, static_cast<uint32_t>(n)));
            Array<float> to(device, n * d), sums(device, std::vector<float>(n / 4 * d));
            Array<uint32_t> first(device, std::vector<uint32_t>{0xFFFFFFFF});
            measured([&] {
              const RowKernels& rows = *device.kernels().rows;
              rows.copy({n, d, from.data(), d, index.data(), 0, 1, to.data(), d});
              rows.add_groups({n, d, 0, 4, from.data(), sums.data()});
              rows.not_finite({n, d, to.data(), first.data()});
            });
          }};
}

Workload hybrid(size_t n, size_t components, size_t d) {
  return {"hybrid update", n, Precision::fp32, 0, [=](Device& device, const auto& measured) {
            const size_t size = n * components * d;
            const Array<Chain> who(device, chains(n, 1));
            Array<float> means(device, normals(size, 2)), weights(device, normals(size, 3)),
                momenta(device, normals(size, 4)), m(device, normals(size, 5)), v(device, uniforms(size, 6));
            const Array<float> gradients(device, normals(n * d, 7));
            Array<float> z(device, n * d), d_means(device, size), d_weights(device, size);
            AdamStep step;
            step.step = kStep;
            step.clip = 1;
            measured([&] {
              const Kernels& kernels = device.kernels();
              kernels.hybrid->combine({n, components, d, means.data(), weights.data(), z.data()});
              kernels.hybrid->gradients({n, components, d, means.data(), weights.data(), z.data(),
                                         gradients.data(), d_means.data(), d_weights.data()});
              kernels.langevin->update({n, components * d, who.data(), kStep, 0, rng(), false, 0.1f, 0.99f,
                                        0.01f, 1, 2, d_means.data(), momenta.data(), means.data()});
              kernels.optimise->rows(
                  {step, n, components * d, d_weights.data(), m.data(), v.data(), weights.data()});
            });
          }};
}

Workload resampling(const Sizes& sizes, size_t n) {
  return {"resample 1 of 16", n, Precision::fp32, 0, [=](Device& device, const auto& measured) {
            const size_t d = sizes.latent, all = n * kCandidates;
            const Mixtures q(device, sizes, n);
            const std::vector<Chain> who = chains(n, 4);
            std::vector<Chain> repeated(all);
            std::vector<uint32_t> numbers(all);
            for (size_t i = 0; i < all; ++i) {
              repeated[i] = who[i / kCandidates];
              numbers[i] = static_cast<uint32_t>(i % kCandidates);
            }
            const Array<uint32_t> rows(device, each_row(n, kCandidates)), steps(device, numbers);
            const Array<Chain> of_candidates(device, repeated), of_chains(device, who);
            const Array<float> energies(device, normals(all, 5));
            Array<float> z(device, all * d), best(device, n * d);
            Array<double> weights(device, all);
            const ResampleState none{-INFINITY, INFINITY, -INFINITY, 0, 0};
            Array<ResampleState> states(device, std::vector<ResampleState>(n, none));
            measured([&] {
              const Kernels& kernels = device.kernels();
              kernels.resample->candidates({q.view(), normal_prior(d), 0.1, rows.data(), of_candidates.data(),
                                            steps.data(), all, rng(), z.data()});
              kernels.resample->weights({q.view(), normal_prior(d), 0.1, 1, 1, rows.data(), all, z.data(),
                                         energies.data(), weights.data()});
              kernels.resample->choose({n, kCandidates, d, nullptr, of_chains.data(), 0, rng(), z.data(),
                                        energies.data(), weights.data(), states.data(), best.data()});
            });
          }};
}

Workload mixture(const Sizes& sizes, size_t n) {
  return {"mixture draw and log-density", n, Precision::fp32, 0, [=](Device& device, const auto& measured) {
            const Mixtures q(device, sizes, n);
            const Array<Chain> who(device, chains(n, 4));
            const Array<uint32_t> rows(device, each_row(n, 1));
            Array<float> z(device, n * sizes.latent);
            Array<double> density(device, n);
            measured([&] {
              device.kernels().mixture->draw({q.view(), rows.data(), who.data(), n, kStep, Purpose::component,
                                              Purpose::component_normal, rng(), z.data()});
              device.kernels().mixture->log_density({q.view(), rows.data(), z.data(), n, density.data()});
            });
          }};
}

Workload component_stds(const Sizes& sizes, size_t n) {
  return {"mixture with stds of each component", n, Precision::fp32, 0,
          [=](Device& device, const auto& measured) {
            const size_t d = sizes.latent, all = sizes.components * d;
            const Mixtures q(device, sizes, n, true);
            const Array<Chain> who(device, chains(n, 4));
            const Array<uint32_t> rows(device, each_row(n, 1));
            const Array<float> energies(device, normals(n, 5)), target(device, normals(n * d, 6));
            Array<float> z(device, n * d), d_logits(device, n * sizes.components), d_means(device, n * all),
                d_log_stds(device, all), workspace(device, n * all);
            Array<double> density(device, n), weights(device, n), nll(device, n);
            measured([&] {
              const Kernels& kernels = device.kernels();
              kernels.mixture->nll({q.view(), target.data(), 1, 0, nll.data(), d_logits.data(),
                                    d_means.data(), d_log_stds.data(), workspace.data()});
              kernels.mixture->draw({q.view(), rows.data(), who.data(), n, kStep, Purpose::component,
                                     Purpose::component_normal, rng(), z.data()});
              kernels.mixture->log_density({q.view(), rows.data(), z.data(), n, density.data()});
              kernels.resample->weights({q.view(), normal_prior(d), 0.1, 1, 1, rows.data(), n, z.data(),
                                         energies.data(), weights.data()});
            });
          }};
}

Workload conditions(const Sizes& sizes, size_t n) {
  return {
      "condition noise and labels", n, Precision::fp32, 0, [=](Device& device, const auto& measured) {
        const size_t m = sizes.condition;
        const Array<Chain> who(device, chains(n, 1));
        const Array<float> c(device, uniforms(n * m, 2)), factor(device, normals(m * m, 3, 0.05f));
        Array<float> workspace(device, n * m), out(device, n * m);
        measured([&] {
          for (const ConditionNoiseKind kind :
               {ConditionNoiseKind::isotropic, ConditionNoiseKind::adaptive, ConditionNoiseKind::covariance})
            device.kernels().condition->noise({kind, 0.2f, factor.data(), n, m, who.data(), kStep, rng(),
                                               c.data(), workspace.data(), out.data()});
          device.kernels().condition->labels({n, m, who.data(), kStep, rng(), c.data(), out.data()});
        });
      }};
}

}  // namespace

std::vector<Workload> sampler_updates(const Sizes& sizes, size_t n) {
  const size_t d = sizes.latent;
  return {langevin(n, d),
          adam(n, d),
          metropolis(n, d),
          target(n, d),
          standard(n, d, Prior::Kind::normal, "standard coordinates"),
          standard(n, d, Prior::Kind::truncated_normal, "standard coordinates, truncated"),
          moved_rows(n, d),
          hybrid(n, sizes.components, d),
          resampling(sizes, n),
          mixture(sizes, n),
          component_stds(sizes, n),
          conditions(sizes, n)};
}

}  // namespace tr0n::selftest
