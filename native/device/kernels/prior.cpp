#include "device/kernels/prior.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "base/error.h"

namespace tr0n {
namespace {

constexpr double kHalfLog2Pi = 0.91893853320467274178;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Mass of N(0, 1) inside ±x.
double central_mass(double x) { return std::erf(x * 0.70710678118654752440); }

struct Truncation {
  float std, bound;
};

/// One element of N(0, std²) cut to ±bound, by rejection: of normals where the cut is wide, of uniforms where
/// it is narrow, so that at least 0.6 of the attempts are taken. Attempt r of element j of d reads block r·d
/// + j.
float draw_truncated(const Truncation& cut, const Philox& rng, Chain chain, uint32_t step, Purpose purpose,
                     size_t d, size_t j) {
  const bool wide = cut.bound >= cut.std;
  for (size_t attempt = 0;; ++attempt) {
    const auto words = rng.bits(chain, step, purpose, static_cast<uint32_t>(attempt * d + j));
    const double u = Philox::unit(words[0]), v = Philox::unit(words[1]);
    if (wide) {
      const double radius = cut.std * std::sqrt(-2.0 * std::log(u));
      const float first = static_cast<float>(radius * std::cos(6.283185307179586 * v));
      if (std::fabs(first) <= cut.bound) return first;
      const float second = static_cast<float>(radius * std::sin(6.283185307179586 * v));
      if (std::fabs(second) <= cut.bound) return second;
    } else {
      const double x = cut.bound * (2.0 * u - 1.0), t = x / cut.std;
      if (std::log(v) < -0.5 * t * t) return static_cast<float>(x);
    }
  }
}

/// Half the width of an element's support; infinite where it has none.
double half_width(const PriorElement& e) {
  return 0.5 * (static_cast<double>(e.high) - static_cast<double>(e.low));
}

bool is_flat(const PriorElement& e) { return std::isinf(e.std); }

bool is_inside(const PriorElement& e, float z) { return std::isfinite(z) && z >= e.low && z <= e.high; }

/// (z − mean) / std, 0 where the element is flat.
double standardised(const PriorElement& e, float z) {
  return (static_cast<double>(z) - static_cast<double>(e.mean)) / static_cast<double>(e.std);
}

/// Draws of elements. The blocks of normals, of uniforms and of redraws lie one behind the other, so that
/// neighbours of different kinds share no numbers; in each, element j is where a prior of one kind has it.
void draw_elements(const Prior& prior, const Philox& rng, Chain chain, uint32_t step, Purpose purpose,
                   float* z) {
  const size_t quads = (prior.dim + 3) / 4;
  rng.normal(chain, step, purpose, z, prior.dim);
  for (size_t j = 0; j < prior.dim; ++j) {
    const PriorElement& e = prior.elements[j];
    if (is_flat(e)) {
      const auto words = rng.bits(chain, step, purpose, static_cast<uint32_t>(quads + j / 4));
      z[j] = std::fmin(e.low + Philox::unit_float(words[j % 4]) * (e.high - e.low), e.high);
    } else if (std::isinf(e.low)) {
      z[j] = e.mean + e.std * z[j];
    } else {
      const float bound = static_cast<float>(half_width(e));
      z[j] = e.mean + draw_truncated({e.std, bound}, rng, chain, step, purpose, prior.dim, 2 * quads + j);
    }
  }
}

}  // namespace

void Prior::check() const {
  const auto fail = [](const std::string& what) { throw Error("ERR_INVALID_ARGUMENT", "prior: " + what); };
  if (dim == 0) fail("expected at least one dimension, got 0");
  if (kind == Kind::elements) {
    if (elements == nullptr) fail("expected elements, got none");
    for (size_t j = 0; j < dim; ++j) {
      const PriorElement& e = elements[j];
      const bool open = std::isinf(e.low) && std::isinf(e.high) && e.low < e.high;
      const bool closed = std::isfinite(e.low) && e.low < e.high && std::isfinite(e.high - e.low);
      const double centre = 0.5 * (static_cast<double>(e.low) + static_cast<double>(e.high));
      const bool symmetric =
          closed && std::fabs(centre - static_cast<double>(e.mean)) <= 1e-5 * half_width(e);
      if (is_flat(e) ? !closed : !(std::isfinite(e.mean) && e.std > 0 && (open || symmetric)))
        fail(
            "expected elements with a std above 0, symmetric about their mean or without bounds, or uniform "
            "between finite bounds; got mean " +
            std::to_string(e.mean) + ", std " + std::to_string(e.std) + ", low " + std::to_string(e.low) +
            " and high " + std::to_string(e.high) + " in dimension " + std::to_string(j));
    }
    return;
  }
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
      for (size_t j = 0; j < dim; ++j) z[j] = draw_truncated({std, bound}, rng, chain, step, purpose, dim, j);
      break;
    case Kind::uniform:
      rng.uniform(chain, step, purpose, z, dim);
      for (size_t j = 0; j < dim; ++j) z[j] = std::fmin(low + z[j] * (high - low), high);
      break;
    case Kind::elements:
      draw_elements(*this, rng, chain, step, purpose, z);
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
    case Kind::elements:
      for (size_t j = 0; j < dim; ++j) inside &= is_inside(elements[j], z[j]);
      break;
  }
  return inside;
}

void Prior::move_inside(float* z) const {
  const auto limit = [](float& x, float least, float most) {
    if (std::isfinite(x)) x = std::clamp(x, least, most);
  };
  for (size_t j = 0; j < dim; ++j) {
    if (kind == Kind::truncated_normal)
      limit(z[j], -bound, bound);
    else if (kind == Kind::uniform)
      limit(z[j], low, high);
    else if (kind == Kind::elements)
      limit(z[j], elements[j].low, elements[j].high);
  }
}

double log_peak(const PriorElement* elements, size_t count) {
  double sum = 0;
  for (size_t j = 0; j < count; ++j) {
    const PriorElement& e = elements[j];
    if (is_flat(e)) {
      sum -= std::log(2 * half_width(e));
      continue;
    }
    sum -= kHalfLog2Pi + std::log(static_cast<double>(e.std));
    if (std::isfinite(e.low)) sum -= std::log(central_mass(half_width(e) / static_cast<double>(e.std)));
  }
  return sum;
}

double Prior::log_peak() const {
  const double d = static_cast<double>(dim);
  if (kind == Kind::uniform) return -d * std::log(static_cast<double>(high) - low);
  if (kind == Kind::elements) return elements_peak;
  double constant = -kHalfLog2Pi - std::log(static_cast<double>(std));
  if (kind == Kind::truncated_normal) constant -= std::log(central_mass(static_cast<double>(bound) / std));
  return d * constant;
}

double Prior::log_density(const float* z) const { return contains(z) ? log_peak() - energy(z) : -kInfinity; }

double Prior::energy(const float* z) const {
  if (!contains(z)) return kInfinity;
  if (kind == Kind::uniform) return 0;
  double sum = 0;
  if (kind == Kind::elements) {
    for (size_t j = 0; j < dim; ++j) {
      const double u = standardised(elements[j], z[j]);
      sum += u * u;
    }
    return 0.5 * sum;
  }
  for (size_t j = 0; j < dim; ++j) sum += static_cast<double>(z[j]) * z[j];
  return 0.5 * sum / (static_cast<double>(std) * std);
}

void Prior::add_energy_gradient(const float* z, float weight, float* gradient) const {
  if (kind == Kind::uniform) return;
  if (kind == Kind::elements) {
    for (size_t j = 0; j < dim; ++j) {
      const PriorElement& e = elements[j];
      gradient[j] += weight / (e.std * e.std) * (z[j] - e.mean);
    }
    return;
  }
  const float scale = weight / (std * std);
  for (size_t j = 0; j < dim; ++j) gradient[j] += scale * z[j];
}

double Prior::entropy() const {
  if (kind == Kind::uniform) return -log_peak();
  // The mean of ½u², u standard normal, cut to ±b or not.
  const auto mean_energy = [](double b) {
    return std::isinf(b) ? 0.5 : 0.5 - b * std::exp(-0.5 * b * b - kHalfLog2Pi) / central_mass(b);
  };
  double sum = -log_peak();
  if (kind == Kind::elements) {
    for (size_t j = 0; j < dim; ++j)
      if (!is_flat(elements[j]))
        sum += mean_energy(half_width(elements[j]) / static_cast<double>(elements[j].std));
    return sum;
  }
  return sum + static_cast<double>(dim) *
                   mean_energy(kind == Kind::normal ? kInfinity : static_cast<double>(bound) / std);
}

}  // namespace tr0n
