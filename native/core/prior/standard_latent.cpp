#include "core/prior/standard_latent.h"

#include <algorithm>
#include <cmath>

namespace tr0n {
namespace {

using Kind = StandardCoordinate::Kind;

StandardCoordinate uniform(double low, double high) {
  return {Kind::uniform, 0.5 * (low + high), 0.5 * (high - low), 0, 0, 0};
}

StandardCoordinate truncated(double mean, double std, double half_width) {
  const double bound = half_width / std;
  return {Kind::truncated, mean, std, bound, upper_tail(bound), std::erf(bound * 0.70710678118654752440)};
}

StandardCoordinate normal(double mean, double std) { return {Kind::normal, mean, std, 0, 0, 1}; }

StandardCoordinate of_element(const PriorElement& e) {
  const double low = static_cast<double>(e.low), high = static_cast<double>(e.high);
  const double mean = static_cast<double>(e.mean), width = static_cast<double>(e.std);
  if (std::isinf(e.std)) return uniform(low, high);
  return std::isinf(e.low) ? normal(mean, width) : truncated(mean, width, 0.5 * (high - low));
}

/// Of a prior whose dimensions are alike.
StandardCoordinate of_all(const Prior& prior) {
  const double std = static_cast<double>(prior.std);
  if (prior.kind == Prior::Kind::uniform)
    return uniform(static_cast<double>(prior.low), static_cast<double>(prior.high));
  return prior.kind == Prior::Kind::normal ? normal(0, std)
                                           : truncated(0, std, static_cast<double>(prior.bound));
}

}  // namespace

StandardLatent::StandardLatent(Device& device, const Prior& prior)
    : kernels_(*device.kernels().standard),
      coordinates_(device, prior.kind == Prior::Kind::elements ? prior.dim : 1) {
  StandardCoordinate* const first = coordinates_.host();
  StandardCoordinate* const last = first + coordinates_.size();
  for (size_t j = 0; j < coordinates_.size(); ++j)
    first[j] = prior.kind == Prior::Kind::elements ? of_element(prior.elements[j]) : of_all(prior);
  view_.d = prior.dim;
  view_.count = coordinates_.size();
  view_.affine = std::all_of(first, last, [](const auto& c) { return c.kind == Kind::normal; });
  view_.identity =
      view_.affine && std::all_of(first, last, [](const auto& c) { return c.centre == 0 && c.scale == 1; });
  coordinates_.push();
  view_.coordinates = coordinates_.device();
}

void StandardLatent::from_standard(size_t n, const float* u, float* z) const {
  kernels_.from_standard({view_, n, u, z});
}

void StandardLatent::to_standard(size_t n, float* z, float* u) const {
  kernels_.to_standard({view_, n, z, u});
}

void StandardLatent::pull_back(const Weights& weights, size_t n, const float* u, const float* z,
                               const float* energies, float* target_energies, float* gradients) const {
  kernels_.pull_back({view_, weights.fidelity, weights.prior, weights.max_drift, n, u, z, energies,
                      target_energies, gradients});
}

}  // namespace tr0n
