#include "core/prior/standard_latent.h"

#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "core/math/normal_quantile.h"

namespace tr0n {
namespace {

constexpr double kRootHalf = 0.70710678118654752440, kDensityAt0 = 0.39894228040143267794;

/// Φ(−x).
double upper_tail(double x) { return 0.5 * std::erfc(x * kRootHalf); }

}  // namespace

double StandardLatent::Coordinate::latent(double u) const {
  if (kind == Kind::normal) return centre + scale * u;
  // By the tail on u's own side, which keeps its digits.
  const double outside = upper_tail(std::fabs(u));
  const double size = kind == Kind::uniform
                          ? scale * (1 - 2 * outside)
                          : scale * std::fmin(-normal_quantile(tail + mass * outside), bound);
  return centre + std::copysign(size, u);
}

double StandardLatent::Coordinate::standard(double z) const {
  const double x = (z - centre) / scale;
  if (kind == Kind::normal) return x;
  const double outside =
      kind == Kind::uniform ? 0.5 * (1 - std::fabs(x)) : (upper_tail(std::fabs(x)) - tail) / mass;
  constexpr double least = 1e-7, beside_bound = 3;
  return std::copysign(outside < least ? beside_bound : -normal_quantile(std::fmin(outside, 0.5)), x);
}

double StandardLatent::Coordinate::slope(double u, double z) const {
  if (kind == Kind::normal) return scale;
  if (kind == Kind::uniform) return 2 * scale * kDensityAt0 * std::exp(-0.5 * u * u);
  const double x = (z - centre) / scale;
  return scale * mass * std::exp(0.5 * (x * x - u * u));
}

StandardLatent::StandardLatent(const Prior& prior) : d_(prior.dim) {
  using Kind = Coordinate::Kind;
  const auto uniform = [](double low, double high) {
    return Coordinate{Kind::uniform, 0.5 * (low + high), 0.5 * (high - low), 0, 0, 0};
  };
  const auto truncated = [](double mean, double std, double half_width) {
    const double bound = half_width / std;
    return Coordinate{Kind::truncated, mean, std, bound, upper_tail(bound), std::erf(bound * kRootHalf)};
  };
  const auto normal = [](double mean, double std) { return Coordinate{Kind::normal, mean, std, 0, 0, 1}; };
  const double std = static_cast<double>(prior.std);
  switch (prior.kind) {
    case Prior::Kind::normal:
      coordinates_ = {normal(0, std)};
      break;
    case Prior::Kind::truncated_normal:
      coordinates_ = {truncated(0, std, static_cast<double>(prior.bound))};
      break;
    case Prior::Kind::uniform:
      coordinates_ = {uniform(static_cast<double>(prior.low), static_cast<double>(prior.high))};
      break;
    case Prior::Kind::elements:
      for (size_t j = 0; j < d_; ++j) {
        const PriorElement& e = prior.elements[j];
        const double low = static_cast<double>(e.low), high = static_cast<double>(e.high);
        const double mean = static_cast<double>(e.mean), width = static_cast<double>(e.std);
        coordinates_.push_back(std::isinf(e.std)   ? uniform(low, high)
                               : std::isinf(e.low) ? normal(mean, width)
                                                   : truncated(mean, width, 0.5 * (high - low)));
      }
      break;
  }
  affine_ = std::all_of(coordinates_.begin(), coordinates_.end(),
                        [](const Coordinate& c) { return c.kind == Kind::normal; });
  identity_ = affine_ && std::all_of(coordinates_.begin(), coordinates_.end(),
                                     [](const Coordinate& c) { return c.centre == 0 && c.scale == 1; });
}

size_t StandardLatent::cost() const { return d_ * (identity_ ? 1 : affine_ ? 4 : 60); }

void StandardLatent::from_standard(size_t n, const float* u, float* z) const {
  for_ranges(n, cost(), [&](size_t begin, size_t end) {
    if (identity_) {
      std::copy(u + begin * d_, u + end * d_, z + begin * d_);
      return;
    }
    for (size_t i = begin; i < end; ++i)
      for (size_t j = 0; j < d_; ++j)
        z[i * d_ + j] = static_cast<float>(of(j).latent(static_cast<double>(u[i * d_ + j])));
  });
}

void StandardLatent::to_standard(size_t n, float* z, float* u) const {
  for_ranges(n, cost(), [&](size_t begin, size_t end) {
    if (identity_) {
      std::copy(z + begin * d_, z + end * d_, u + begin * d_);
      return;
    }
    for (size_t i = begin; i < end; ++i)
      for (size_t j = 0; j < d_; ++j)
        u[i * d_ + j] = static_cast<float>(of(j).standard(static_cast<double>(z[i * d_ + j])));
  });
  if (!identity_) from_standard(n, u, z);
}

void StandardLatent::pull_back(const Weights& weights, size_t n, const float* u, const float* z,
                               const float* energies, float* target_energies, float* gradients) const {
  const double excess = weights.prior - 1;  // of the prior's weight over that of its change of variables
  for_ranges(n, d_ * 4 + cost(), [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const float *row = u + i * d_, *latent = z + i * d_;
      float* gradient = gradients + i * d_;
      const auto slope = [&](size_t j) {
        return weights.fidelity * of(j).slope(static_cast<double>(row[j]), static_cast<double>(latent[j]));
      };
      double square = 0;
      for (size_t j = 0; weights.max_drift > 0 && j < d_; ++j) {
        const double g = slope(j) * static_cast<double>(gradient[j]);
        square += g * g;
      }
      const double norm = std::sqrt(square);
      const double scale = norm > weights.max_drift ? weights.max_drift / norm : 1;
      double correction = 0;
      for (size_t j = 0; j < d_; ++j) {
        double g = scale * slope(j) * static_cast<double>(gradient[j]);
        const Coordinate& c = of(j);
        if (excess != 0 && c.kind != Coordinate::Kind::normal) {
          const double here = static_cast<double>(row[j]);
          const double x =
              c.kind == Coordinate::Kind::uniform ? 0 : (static_cast<double>(latent[j]) - c.centre) / c.scale;
          correction += 0.5 * (x * x - here * here);
          g += excess * (x / c.scale * c.slope(here, static_cast<double>(latent[j])) - here);
        }
        gradient[j] = static_cast<float>(g);
      }
      target_energies[i] =
          static_cast<float>(weights.fidelity * static_cast<double>(energies[i]) + excess * correction);
    }
  });
}

}  // namespace tr0n
