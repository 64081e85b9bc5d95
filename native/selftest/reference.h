#pragma once
#include <cmath>
#include <vector>

#include "core/prior/prior_elements.h"
#include "device/kernels.h"

/// What several cases expect, in float64 or wider, straight from the formulas of device/kernels.
namespace tr0n::selftest {

/// n standard normals of a draw: Box–Muller in double on uniforms that are rounded to float (base/rng.h).
std::vector<double> exact_normals(const Philox& rng, Chain chain, uint32_t step, Purpose purpose, size_t n);
/// A uniform of a draw, rounded to float below 1.
double exact_uniform(const Philox& rng, Chain chain, uint32_t step, Purpose purpose, size_t element);
/// The index where the cumulative sum of weights, not all zero, passes u of their total.
size_t exact_choice(const std::vector<long double>& weights, double u);

/// A batch of mixtures and points in them, on the host.
struct MixtureInput {
  const char* name;
  size_t n, components, latent;
  std::vector<float> logits, means, log_stds, z;  ///< log_stds [d], or [K, d]
  bool component_stds = false;

  std::vector<long double> probabilities(size_t row) const;
  size_t std_index(size_t k, size_t j) const { return (component_stds ? k * latent : 0) + j; }
  long double std(size_t k, size_t j) const {
    return std::exp(static_cast<long double>(log_stds[std_index(k, j)])) + 1e-6L;
  }
};

/// Inputs of every kind: usual ones, σ = 0.01, log-stds of ±80 and ±1e4, logits of ±1e4, components that are
/// alike, points and means as far apart as floats allow.
std::vector<MixtureInput> mixture_inputs(size_t n, size_t components, size_t latent);
/// The same inputs with log-stds of each component, each component's larger than those of the one before.
std::vector<MixtureInput> by_component(std::vector<MixtureInput> inputs);

/// log q_row(z) and the responsibilities.
struct Density {
  long double log;
  std::vector<long double> responsibilities;
};
Density exact_density(const MixtureInput& q, size_t row, const float* z);

/// Elements of every kind, one after the other; all hold ±0.4.
PriorElement mixed_element(size_t j);
/// Priors of every kind over d dimensions.
std::vector<PriorValues> every_prior(size_t d);
const char* prior_name(const Prior& prior);
/// log p(z), −infinity outside its support.
double exact_log_prior(const Prior& prior, const float* z);

}  // namespace tr0n::selftest
