/// The gradient samplers' steps.
#include <limits>

#include "selftest/reference.h"
#include "selftest/test.h"

namespace tr0n::selftest {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Shape {
  size_t n, d;
};

/// The last two have more rows than an H100 has multiprocessors: several of them share a block.
std::vector<Shape> shapes(bool quick) {
  std::vector<Shape> all = {{1, 1},   {31, 33},  {32, 31}, {33, 32},  {3, 257},
                            {4, 128}, {2, 2100}, {401, 5}, {265, 129}};
  if (!quick) all.insert(all.end(), {{16, 128}, {255, 128}, {257, 257}, {4096, 128}});
  return all;
}

std::string name_of(const Shape& shape, const std::string& kind) {
  return "n " + std::to_string(shape.n) + ", d " + std::to_string(shape.d) + ", " + kind;
}

double square_norm(const double* x, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += x[i] * x[i];
  return sum;
}

Prior prior_of(Prior::Kind kind, size_t d) {
  Prior prior;
  prior.kind = kind;
  prior.dim = d;
  prior.std = 0.7f;
  prior.bound = 2.5f;
  prior.low = -3;
  prior.high = 3.5f;
  return prior;
}

const std::pair<Prior::Kind, const char*> kPriors[] = {{Prior::Kind::normal, "normal"},
                                                       {Prior::Kind::truncated_normal, "truncated"},
                                                       {Prior::Kind::uniform, "uniform"},
                                                       {Prior::Kind::elements, "elements"}};

std::vector<MalaState> states_of(const std::vector<double>& energies, const std::vector<double>& log_steps) {
  std::vector<MalaState> states;
  for (size_t i = 0; i < energies.size(); ++i) states.push_back({energies[i], log_steps[i], 0.25});
  return states;
}

}  // namespace

SELFTEST(target_gradient) {
  struct Weights {
    double fidelity, prior;
  };
  for (const Shape& shape : shapes(test.quick))
    for (const auto& [kind, kind_name] : kPriors)
      for (const Weights& w : {Weights{1, 0}, Weights{3, 1}, Weights{0.5, 2}, Weights{1e6, 1}}) {
        std::vector<PriorElement> elements;
        for (size_t j = 0; kind == Prior::Kind::elements && j < shape.d; ++j)
          elements.push_back(mixed_element(j));
        const PriorValues values(prior_of(kind, shape.d), elements);
        const Prior prior = values.view();
        const size_t count = shape.n * shape.d;
        // Rows that leave the support now and then, energies that are not finite.
        std::vector<float> z = uniforms(count, 1, -2.4f, 2.4f), energies = normals(shape.n, 2, 10);
        if (kind == Prior::Kind::elements)
          for (float& value : z) value *= 0.18f;
        for (size_t i = 0; i < shape.n; i += 3) z[i * shape.d + i % shape.d] = i % 2 == 0 ? 20.0f : -INFINITY;
        for (size_t i = 1; i < shape.n; i += 5) energies[i] = i % 2 == 0 ? NAN : INFINITY;
        for (float& value : z)
          if (!std::isfinite(value)) value = w.prior == 0 ? value : 30.0f;  // an infinite pull is no gradient
        const std::vector<float> gradient = normals(count, 3);
        std::vector<double> targets, exact(count);
        for (size_t i = 0; i < shape.n; ++i) {
          double energy = 0;
          bool inside = true;
          for (size_t j = 0; j < shape.d; ++j) {
            const double x = static_cast<double>(z[i * shape.d + j]), std = static_cast<double>(prior.std);
            double& g = exact[i * shape.d + j];
            g = w.fidelity * static_cast<double>(gradient[i * shape.d + j]);
            if (kind == Prior::Kind::elements) {
              const PriorElement& e = elements[j];
              const double width = static_cast<double>(e.std);
              inside &=
                  std::isfinite(x) && x >= static_cast<double>(e.low) && x <= static_cast<double>(e.high);
              const double u = (x - static_cast<double>(e.mean)) / width;
              if (std::isinf(width)) continue;
              energy += 0.5 * u * u;
              if (w.prior != 0) g += w.prior * u / width;
              continue;
            }
            if (kind == Prior::Kind::uniform) {
              inside &= x >= -3 && x <= 3.5;
              continue;
            }
            inside &= std::isfinite(x) && (kind == Prior::Kind::normal || std::fabs(x) <= 2.5);
            energy += 0.5 * x * x / (std * std);
            if (w.prior != 0) g += w.prior * x / (std * std);
          }
          const double target = w.fidelity * static_cast<double>(energies[i]) + w.prior * energy;
          targets.push_back(inside && std::isfinite(target) ? target : kInfinity);
        }
        const auto on = [&](Device& device, bool with_targets) {
          const Array<float> here(device, z), e(device, energies);
          Array<double> t(device, shape.n);
          Array<float> g(device, gradient);
          const DevicePrior p(device, prior, 0, shape.d);
          device.kernels().target->gradient({p.view(), w.fidelity, w.prior, shape.n, here.data(), e.data(),
                                             with_targets ? t.data() : nullptr, g.data()});
          return std::make_pair(t.values(), g.values());
        };
        const auto got = on(test.device, true), cpu = on(test.cpu, true);
        test.row(name_of(shape, kind_name))
            .each_close("targets", got.first, targets, 1e-12)
            .close("gradients", got.second, exact, 1e-5)
            .agrees("targets", got.first, cpu.first, 1e-13)
            .agrees("gradients", got.second, cpu.second, 1e-7)
            .that("without targets", on(test.device, false).second == got.second);
      }
}

SELFTEST(target_gradient_support) {
  // A support without 0: what a thread has beyond a row's end must not be held to it.
  for (const size_t d : {size_t{1}, size_t{33}, size_t{34}, size_t{35}, size_t{129}}) {
    constexpr size_t n = 5;
    Prior prior;
    prior.kind = Prior::Kind::uniform;
    prior.dim = d;
    prior.low = 0.5f;
    prior.high = 2;
    std::vector<float> z = uniforms(n * d, 1, 0.5f, 2.0f);
    z[3 * d + d - 1] = 0.25f;
    const std::vector<float> energies = normals(n, 2);
    std::vector<double> targets = widened(energies);
    targets[3] = kInfinity;
    const Array<float> here(test.device, z), e(test.device, energies);
    Array<float> g(test.device, normals(n * d, 3));
    Array<double> t(test.device, n);
    test.device.kernels().target->gradient({prior, 1, 1, n, here.data(), e.data(), t.data(), g.data()});
    test.row("d " + std::to_string(d)).each_close("targets", t.values(), targets, 1e-12);
  }
}

SELFTEST(mala_propose) {
  const Philox rng(21);
  for (const Shape& shape : shapes(test.quick))
    for (const double log_step : {-2.3, -80.0, 40.0, -1e4}) {
      const size_t count = shape.n * shape.d;
      const std::vector<float> z = normals(count, 1), drift = normals(count, 2, 3);
      const std::vector<Chain> who = chains(shape.n, 3);
      std::vector<double> log_steps;
      for (size_t i = 0; i < shape.n; ++i) log_steps.push_back(log_step + 0.1 * static_cast<double>(i % 7));
      std::vector<double> exact;
      for (size_t i = 0; i < shape.n; ++i) {
        const double h = std::exp(log_steps[i]);
        const std::vector<double> xi = exact_normals(rng, who[i], 5, Purpose::proposal, shape.d);
        for (size_t j = 0; j < shape.d; ++j) {
          const size_t at = i * shape.d + j;
          exact.push_back(static_cast<double>(z[at]) - h * static_cast<double>(drift[at]) +
                          std::sqrt(2 * h) * xi[j]);
        }
      }
      const auto on = [&](Device& device) {
        const Array<float> here(device, z), d(device, drift);
        const Array<Chain> chain(device, who);
        const Array<MalaState> states(device, states_of(std::vector<double>(shape.n), log_steps));
        Array<float> out(device, count);
        device.kernels().mala->propose(
            {shape.n, shape.d, states.data(), chain.data(), 5, rng, here.data(), d.data(), out.data()});
        return out.values();
      };
      const std::vector<float> got = on(test.device);
      test.row(name_of(shape, "log h " + std::to_string(static_cast<int>(log_step))))
          .close("proposal", got, exact, 1e-6)
          .agrees("proposal", got, on(test.cpu), 1e-6);
    }
}

SELFTEST(mala_accept) {
  const Philox rng(22);
  struct Result {
    std::vector<float> z, drift, energies;
    std::vector<double> energy, log_step, acceptance;
  };
  for (const Shape& shape : shapes(test.quick))
    for (const double adapt : {0.0, 0.3}) {
      const size_t n = shape.n, d = shape.d, count = n * d;
      const std::vector<float> z = normals(count, 1), drift = normals(count, 2), there = normals(count, 3),
                               drift_there = normals(count, 4), energies = normals(n, 5),
                               energies_there = normals(n, 6);
      std::vector<double> energy = widened(normals(n, 7, 3)), targets = widened(normals(n, 8, 3)), log_steps;
      // Proposals that are impossible, certain, or so far apart that nothing else decides.
      for (size_t i = 0; i < n; ++i) {
        if (i % 8 == 3) targets[i] = kInfinity;
        if (i % 8 == 4) targets[i] = NAN;
        if (i % 8 == 5) targets[i] = -1e6;
        if (i % 8 == 2) targets[i] = i % 16 == 2 ? 1e4 : 1e9;
        log_steps.push_back(i % 8 == 6 ? 60 : i % 8 == 7 ? -60 : 1.5);
      }
      const std::vector<Chain> who = chains(n, 9);
      Result exact{z, drift, energies, energy, log_steps, std::vector<double>(n, 0.25)};
      for (size_t i = 0; i < n; ++i) {
        const long double h = std::exp(static_cast<long double>(log_steps[i]));
        long double forward = 0, backward = 0;
        for (size_t j = i * d; j < (i + 1) * d; ++j) {
          const long double move = static_cast<long double>(there[j]) - z[j];
          forward += (move + h * drift[j]) * (move + h * drift[j]);
          backward += (-move + h * drift_there[j]) * (-move + h * drift_there[j]);
        }
        const long double ratio =
            energy[i] - static_cast<long double>(targets[i]) + (forward - backward) / (4 * h);
        const double a = std::isnan(ratio) ? 0 : static_cast<double>(std::exp(std::fmin(ratio, 0.0L)));
        if (rng.uniform(who[i], 6, Purpose::accept) < a) {
          std::copy_n(there.begin() + static_cast<std::ptrdiff_t>(i * d), d,
                      exact.z.begin() + static_cast<std::ptrdiff_t>(i * d));
          std::copy_n(drift_there.begin() + static_cast<std::ptrdiff_t>(i * d), d,
                      exact.drift.begin() + static_cast<std::ptrdiff_t>(i * d));
          exact.energies[i] = energies_there[i];
          exact.energy[i] = targets[i];
        }
        exact.acceptance[i] += a;
        const double below = std::isfinite(ratio) ? static_cast<double>(ratio) / -4 : 0;
        if (adapt > 0) exact.log_step[i] += adapt * (a - 0.57 - std::log(std::clamp(below, 1.0, 1e6)) / 3);
      }
      const auto on = [&](Device& device) {
        Array<float> here(device, z), drift_here(device, drift), e(device, energies);
        const Array<float> to(device, there), drift_to(device, drift_there), e_to(device, energies_there);
        const Array<double> u(device, targets);
        const Array<Chain> chain(device, who);
        Array<MalaState> states(device, states_of(energy, log_steps));
        device.kernels().mala->accept({n, d, chain.data(), 6, rng, adapt, 0.57, to.data(), drift_to.data(),
                                       e_to.data(), u.data(), states.data(), here.data(), drift_here.data(),
                                       e.data()});
        Result result{here.values(), drift_here.values(), e.values(), {}, {}, {}};
        for (const MalaState& state : states.values()) {
          result.energy.push_back(state.energy);
          result.log_step.push_back(state.log_step);
          result.acceptance.push_back(state.acceptance);
        }
        return result;
      };
      const Result got = on(test.device), cpu = on(test.cpu);
      test.row(name_of(shape, adapt > 0 ? "adapting" : "fixed"))
          .close("z", got.z, widened(exact.z), 0)
          .close("drift", got.drift, widened(exact.drift), 0)
          .close("energies", got.energies, widened(exact.energies), 0)
          .each_close("U", got.energy, exact.energy, 0)
          .each_close("log h", got.log_step, exact.log_step, 1e-9)
          .each_close("acceptance", got.acceptance, exact.acceptance, 1e-9)
          .same("z", got.z, cpu.z)
          .same("drift", got.drift, cpu.drift)
          .same("energies", got.energies, cpu.energies)
          .agrees("log h", got.log_step, cpu.log_step, 1e-12)
          .agrees("acceptance", got.acceptance, cpu.acceptance, 1e-12);
    }
}

SELFTEST(langevin_update) {
  const Philox rng(23);
  struct Kind {
    const char* name;
    bool first;
    float noise, bound;
    double clip;
    float size;          ///< of gradients
    uint32_t block = 0;  ///< where its random numbers begin
  };
  const Kind kinds[] = {{"first", true, 0.01f, 2, 1, 1}, {"later", false, 0.01f, 2, 1, 1, 3},
                        {"plain", false, 0, 0, 0, 1},    {"within the clip", false, 0.5f, 0, 1e6, 1},
                        {"large", true, 0, 1, 1, 1e30f}, {"small", false, 0, 1, 1, 1e-30f}};
  for (const Shape& shape : shapes(test.quick))
    for (const Kind& kind : kinds) {
      const size_t count = shape.n * shape.d;
      const std::vector<float> gradient = normals(count, 1, kind.size), b = normals(count, 2, 0.1f),
                               z = normals(count, 3, 0.5f);
      const std::vector<Chain> who = chains(shape.n, 4);
      std::vector<double> exact_b, exact_z;
      for (size_t i = 0; i < shape.n; ++i) {
        const std::vector<double> wide = widened(gradient);
        const double norm = std::sqrt(square_norm(wide.data() + i * shape.d, shape.d));
        const double scale = kind.clip > 0 ? std::fmin(1, kind.clip / (norm + 1e-6)) : 1;
        std::vector<double> epsilon =
            exact_normals(rng, who[i], 8, Purpose::langevin_noise, 4 * kind.block + shape.d);
        epsilon.erase(epsilon.begin(), epsilon.begin() + 4 * static_cast<std::ptrdiff_t>(kind.block));
        for (size_t j = 0; j < shape.d; ++j) {
          const size_t at = i * shape.d + j;
          const double old = kind.first ? 0 : static_cast<double>(0.99f) * static_cast<double>(b[at]);
          exact_b.push_back(old + scale * wide[at]);
          double x =
              static_cast<double>(z[at]) - 5 * exact_b.back() + static_cast<double>(kind.noise) * epsilon[j];
          if (kind.bound > 0)
            x = std::fmin(std::fmax(x, -static_cast<double>(kind.bound)), static_cast<double>(kind.bound));
          exact_z.push_back(x);
        }
      }
      const auto on = [&](Device& device) {
        const Array<float> g(device, gradient);
        Array<float> momenta(device, kind.first ? std::vector<float>(count, NAN) : b), x(device, z);
        const Array<Chain> chain(device, who);
        device.kernels().langevin->update({shape.n, shape.d, chain.data(), 8, kind.block, rng, kind.first, 5,
                                           0.99f, kind.noise, kind.clip, kind.bound, g.data(), momenta.data(),
                                           x.data()});
        return std::make_pair(momenta.values(), x.values());
      };
      const auto got = on(test.device), cpu = on(test.cpu);
      Row row = test.row(name_of(shape, kind.name));
      row.close("b", got.first, exact_b, 1e-6)
          .close("z", got.second, exact_z, 1e-5)
          .agrees("b", got.first, cpu.first, 1e-7)
          .agrees("z", got.second, cpu.second, 1e-6);
      if (kind.noise == 0 && kind.clip == 0)
        row.same("b", got.first, cpu.first).same("z", got.second, cpu.second);
    }
}

SELFTEST(langevin_update_tails) {
  // Chains, found by search, that draw the bits 4 and 5 for a uniform that a radius is made of: normals far
  // out in the tail, where it shows whether a uniform is (bits + 1/2)/2^32.
  const Philox rng(kInputSeed);
  const std::vector<Chain> who = {{3, 24427602}, {3, 82980707}};
  std::vector<double> expected;
  double largest = 0;
  for (const Chain& chain : who)
    for (const double x : exact_normals(rng, chain, 0, Purpose::langevin_noise, 4)) {
      expected.push_back(x);
      largest = std::fmax(largest, std::fabs(x));
    }
  const Array<Chain> chain(test.device, who);
  const Array<float> gradients(test.device, std::vector<float>(8));
  Array<float> momenta(test.device, 8), z(test.device, std::vector<float>(8));
  test.device.kernels().langevin->update(
      {2, 4, chain.data(), 0, 0, rng, true, 0, 0, 1, 0, 0, gradients.data(), momenta.data(), z.data()});
  test.row("n 2, d 4").close("z", z.values(), expected, 1e-5).that("far out", largest > 4.5);
}

}  // namespace tr0n::selftest
