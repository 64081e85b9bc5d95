#include "core/prior.h"

#include <cmath>
#include <limits>
#include <string>

#include "core/error.h"

namespace tr0n {
namespace {

constexpr double kHalfLog2Pi = 0.91893853320467274178;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Mass of N(0, 1) inside ±x.
double central_mass(double x) { return std::erf(x * 0.70710678118654752440); }

/// One element of N(0, std²) cut to ±bound, by rejection: of normals where the cut is wide, of uniforms where
/// it is narrow, so that at least 0.6 of the attempts are taken. Attempt r of element j reads block r·d + j.
float draw_truncated(const Prior& prior, const Philox& rng, Chain chain, uint32_t step, Purpose purpose,
                     size_t j) {
  const bool wide = prior.bound >= prior.std;
  for (size_t attempt = 0;; ++attempt) {
    const auto words = rng.bits(chain, step, purpose, static_cast<uint32_t>(attempt * prior.dim + j));
    const double u = Philox::unit(words[0]), v = Philox::unit(words[1]);
    if (wide) {
      const double radius = prior.std * std::sqrt(-2.0 * std::log(u));
      const float first = static_cast<float>(radius * std::cos(6.283185307179586 * v));
      if (std::fabs(first) <= prior.bound) return first;
      const float second = static_cast<float>(radius * std::sin(6.283185307179586 * v));
      if (std::fabs(second) <= prior.bound) return second;
    } else {
      const double x = prior.bound * (2.0 * u - 1.0), t = x / prior.std;
      if (std::log(v) < -0.5 * t * t) return static_cast<float>(x);
    }
  }
}

}  // namespace

void Prior::check() const {
  const auto fail = [](const std::string& what) { throw Error("ERR_INVALID_ARGUMENT", "prior: " + what); };
  if (dim == 0) fail("expected at least one dimension, got 0");
  if (kind == Kind::uniform) {
    if (!(std::isfinite(low) && std::isfinite(high) && low < high && std::isfinite(high - low)))
      fail("expected finite low < high, got " + std::to_string(low) + " and " + std::to_string(high));
    return;
  }
  if (!(std::isfinite(std) && std > 0)) fail("expected a finite std above 0, got " + std::to_string(std));
  if (kind == Kind::truncated_normal && !(std::isfinite(bound) && bound > 0))
    fail("expected a finite bound above 0, got " + std::to_string(bound));
}

void Prior::draw(const Philox& rng, Chain chain, uint32_t step, Purpose purpose, float* z) const {
  switch (kind) {
    case Kind::normal:
      rng.normal(chain, step, purpose, z, dim);
      for (size_t j = 0; j < dim; ++j) z[j] *= std;
      break;
    case Kind::truncated_normal:
      for (size_t j = 0; j < dim; ++j) z[j] = draw_truncated(*this, rng, chain, step, purpose, j);
      break;
    case Kind::uniform:
      rng.uniform(chain, step, purpose, z, dim);
      for (size_t j = 0; j < dim; ++j) z[j] = std::fmin(low + z[j] * (high - low), high);
      break;
  }
}

bool Prior::contains(const float* z) const {
  bool inside = true;
  switch (kind) {
    case Kind::normal:
      for (size_t j = 0; j < dim; ++j) inside &= std::isfinite(z[j]);
      break;
    case Kind::truncated_normal:
      for (size_t j = 0; j < dim; ++j) inside &= std::fabs(z[j]) <= bound;
      break;
    case Kind::uniform:
      for (size_t j = 0; j < dim; ++j) inside &= z[j] >= low && z[j] <= high;
      break;
  }
  return inside;
}

double Prior::log_density(const float* z) const {
  if (!contains(z)) return -kInfinity;
  const double d = static_cast<double>(dim);
  if (kind == Kind::uniform) return -d * std::log(static_cast<double>(high) - low);
  double constant = -kHalfLog2Pi - std::log(static_cast<double>(std));
  if (kind == Kind::truncated_normal) constant -= std::log(central_mass(static_cast<double>(bound) / std));
  return d * constant - energy(z);
}

double Prior::energy(const float* z) const {
  if (!contains(z)) return kInfinity;
  if (kind == Kind::uniform) return 0;
  double sum = 0;
  for (size_t j = 0; j < dim; ++j) sum += static_cast<double>(z[j]) * z[j];
  return 0.5 * sum / (static_cast<double>(std) * std);
}

void Prior::add_energy_gradient(const float* z, float weight, float* gradient) const {
  if (kind == Kind::uniform) return;
  const float scale = weight / (std * std);
  for (size_t j = 0; j < dim; ++j) gradient[j] += scale * z[j];
}

double Prior::entropy() const {
  const double d = static_cast<double>(dim);
  if (kind == Kind::uniform) return d * std::log(static_cast<double>(high) - low);
  double each = 0.5 + kHalfLog2Pi + std::log(static_cast<double>(std));
  if (kind == Kind::truncated_normal) {
    const double b = static_cast<double>(bound) / std, mass = central_mass(b);
    const double density = std::exp(-0.5 * b * b - kHalfLog2Pi);
    each += std::log(mass) - b * density / mass;
  }
  return d * each;
}

}  // namespace tr0n
