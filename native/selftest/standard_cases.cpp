/// Standard coordinates of latents, against their definition in long double.
#include <cmath>

#include "core/prior/standard_latent.h"
#include "selftest/reference.h"
#include "selftest/test.h"

namespace tr0n::selftest {
namespace {

using Real = long double;

const Real kRootHalf = std::sqrt(Real{0.5});

Real tail(Real x) { return Real{0.5} * std::erfc(x * kRootHalf); }

/// The x ≥ 0 with tail(x) = p, for p in (0, ½].
Real upper_quantile(Real p) {
  Real low = 0, high = 40;
  for (int i = 0; i < 70; ++i) {
    const Real middle = (low + high) / 2;
    (tail(middle) > p ? low : high) = middle;
  }
  return (low + high) / 2;
}

/// What makes a dimension: z = centre + scale·x, x standard normal, cut to ±bound, or uniform in ±1.
struct Dimension {
  Real centre, scale, bound;
  bool flat;

  bool cut() const { return !flat && std::isfinite(bound); }
  Real mass() const { return 1 - 2 * tail(bound); }
  Real latent(Real u) const {
    if (!flat && !cut()) return centre + scale * u;
    const Real outside = tail(std::fabs(u));
    const Real size =
        flat ? 1 - 2 * outside : std::fmin(upper_quantile(tail(bound) + mass() * outside), bound);
    return centre + std::copysign(scale * size, u);
  }
  Real standard(Real z) const {
    const Real x = (z - centre) / scale;
    if (!flat && !cut()) return x;
    const Real outside = flat ? (1 - std::fabs(x)) / 2 : (tail(std::fabs(x)) - tail(bound)) / mass();
    return std::copysign(outside < 1e-7L ? Real{3} : upper_quantile(std::fmin(outside, Real{0.5})), x);
  }
  Real slope(Real u, Real z) const {
    const Real density = std::exp(-u * u / 2);
    if (flat) return 2 * scale * density / std::sqrt(2 * std::acos(Real{-1}));
    if (!cut()) return scale;
    const Real x = (z - centre) / scale;
    return scale * mass() * density / std::exp(-x * x / 2);
  }
};

Dimension dimension(const Prior& prior, size_t j) {
  const Real infinity = std::numeric_limits<Real>::infinity();
  if (prior.kind == Prior::Kind::normal) return {0, prior.std, infinity, false};
  if (prior.kind == Prior::Kind::truncated_normal)
    return {0, prior.std, static_cast<Real>(prior.bound) / prior.std, false};
  const bool all = prior.kind == Prior::Kind::uniform;
  const Real low = all ? prior.low : prior.elements[j].low, high = all ? prior.high : prior.elements[j].high;
  if (all || std::isinf(prior.elements[j].std)) return {(low + high) / 2, (high - low) / 2, 1, true};
  const Real std = prior.elements[j].std;
  return {prior.elements[j].mean, std, std::isinf(low) ? infinity : (high - low) / 2 / std, false};
}

struct Shape {
  size_t n, d;
};

std::vector<Shape> shapes(bool quick) {
  std::vector<Shape> all = {{1, 1}, {31, 33}, {3, 128}, {2, 600}, {203, 2}};
  if (!quick) all.insert(all.end(), {{64, 128}, {5, 2049}});
  return all;
}

std::string name_of(const Shape& shape, const Prior& prior) {
  return "n " + std::to_string(shape.n) + ", d " + std::to_string(shape.d) + ", " + prior_name(prior);
}

/// N(0, I), where coordinates are the latents, and every other prior.
std::vector<PriorValues> priors(size_t d) {
  std::vector<PriorValues> all = every_prior(d);
  Prior plain;
  plain.dim = d;
  all.emplace_back(plain, std::vector<PriorElement>());
  return all;
}

/// Beyond where Φ(u) is told from 1 in float, too.
std::vector<float> points(size_t count) {
  std::vector<float> u = normals(count, 1, 1.5f);
  for (size_t i = 3; i < count; i += 17) u[i] *= 6;
  return u;
}

}  // namespace

SELFTEST(from_standard) {
  for (const Shape& shape : shapes(test.quick))
    for (const PriorValues& values : priors(shape.d)) {
      const Prior prior = values.view();
      const std::vector<float> u = points(shape.n * shape.d);
      std::vector<double> exact;
      for (size_t i = 0; i < u.size(); ++i)
        exact.push_back(static_cast<double>(dimension(prior, i % shape.d).latent(u[i])));
      const auto on = [&](Device& device) {
        const Array<float> from(device, u);
        Array<float> z(device, u.size());
        StandardLatent(device, prior).from_standard(shape.n, from.data(), z.data());
        return z.values();
      };
      const std::vector<float> got = on(test.device);
      bool inside = true;
      for (size_t i = 0; i < shape.n; ++i) inside &= prior.contains(got.data() + i * shape.d);
      test.row(name_of(shape, prior))
          .each_close("z", got, exact, 1e-7)
          .agrees("z", got, on(test.cpu), 1e-8)
          .that("inside the support", inside);
    }
}

SELFTEST(to_standard) {
  for (const Shape& shape : shapes(test.quick))
    for (const PriorValues& values : priors(shape.d)) {
      const Prior prior = values.view();
      std::vector<float> z = points(shape.n * shape.d);
      for (size_t i = 0; i < shape.n; ++i) prior.move_inside(z.data() + i * shape.d);
      std::vector<double> exact;
      for (size_t i = 0; i < z.size(); ++i)
        exact.push_back(static_cast<double>(dimension(prior, i % shape.d).standard(z[i])));
      const auto on = [&](Device& device) {
        Array<float> at(device, z), u(device, z.size());
        StandardLatent(device, prior).to_standard(shape.n, at.data(), u.data());
        return std::make_pair(u.values(), at.values());
      };
      const auto got = on(test.device), cpu = on(test.cpu);
      std::vector<double> moved;
      for (size_t i = 0; i < z.size(); ++i)
        moved.push_back(static_cast<double>(dimension(prior, i % shape.d).latent(got.first[i])));
      // Beside a bound a rounding of z is a step of u.
      test.row(name_of(shape, prior))
          .each_close("u", got.first, exact, 1e-5)
          .each_close("z", got.second, moved, 1e-7)
          .agrees("u", got.first, cpu.first, 1e-7)
          .agrees("z", got.second, cpu.second, 1e-7);
    }
}

SELFTEST(pull_back) {
  for (const Shape& shape : shapes(test.quick))
    for (const PriorValues& values : priors(shape.d))
      for (const auto& [weight, drift] :
           {std::make_pair(1.0, 0.0), std::make_pair(0.25, 2.0), std::make_pair(3.0, 1e9)}) {
        const Prior prior = values.view();
        const double fidelity = 1.7, prior_weight = weight, max_drift = drift;
        const std::vector<float> u = normals(shape.n * shape.d, 2), gradients = normals(u.size(), 3),
                                 energies = normals(shape.n, 4, 10);
        std::vector<float> z(u.size());
        const StandardLatent host(test.cpu, prior);
        host.from_standard(shape.n, u.data(), z.data());
        std::vector<double> exact, exact_energies;
        for (size_t i = 0; i < shape.n; ++i) {
          std::vector<Real> slopes;
          Real square = 0, correction = 0;
          for (size_t j = 0; j < shape.d; ++j) {
            const size_t at = i * shape.d + j;
            slopes.push_back(dimension(prior, j).slope(u[at], z[at]));
            square += std::pow(fidelity * slopes[j] * gradients[at], 2);
          }
          const Real norm = std::sqrt(square);
          const Real scale = max_drift > 0 && norm > max_drift ? max_drift / norm : 1;
          for (size_t j = 0; j < shape.d; ++j) {
            const size_t at = i * shape.d + j;
            const Dimension c = dimension(prior, j);
            Real g = scale * fidelity * slopes[j] * gradients[at];
            if (c.flat || c.cut()) {
              // ∇_u [U_p(z) − ½u²]: of uniforms U_p is constant.
              const Real x = c.flat ? 0 : (z[at] - c.centre) / c.scale;
              g += (prior_weight - 1) * (x / c.scale * slopes[j] - u[at]);
              correction += (x * x - static_cast<Real>(u[at]) * u[at]) / 2;
            }
            exact.push_back(static_cast<double>(g));
          }
          exact_energies.push_back(
              static_cast<double>(fidelity * energies[i] + (prior_weight - 1) * correction));
        }
        const auto on = [&](Device& device) {
          const Array<float> at_u(device, u), at_z(device, z), e(device, energies);
          Array<float> g(device, gradients), target(device, shape.n);
          StandardLatent(device, prior)
              .pull_back({fidelity, prior_weight, max_drift}, shape.n, at_u.data(), at_z.data(), e.data(),
                         target.data(), g.data());
          return std::make_pair(g.values(), target.values());
        };
        const auto got = on(test.device), cpu = on(test.cpu);
        test.row(name_of(shape, prior) + ", w " + std::to_string(weight).substr(0, 4) +
                 (drift == 2 ? ", clipped" : ""))
            .each_close("gradient", got.first, exact, 1e-6)
            .each_close("energy", got.second, exact_energies, 1e-6)
            .agrees("gradient", got.first, cpu.first, 1e-7)
            .agrees("energy", got.second, cpu.second, 1e-7);
      }
}

}  // namespace tr0n::selftest
