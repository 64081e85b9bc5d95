#include "selftest/reference.h"

#include <algorithm>
#include <limits>

#include "selftest/inputs.h"

namespace tr0n::selftest {
namespace {

constexpr long double kPi = 3.14159265358979323846264338327950288L;

long double log_sum_exp(const std::vector<long double>& x) {
  const long double largest = *std::max_element(x.begin(), x.end());
  long double sum = 0;
  for (const long double value : x) sum += std::exp(value - largest);
  return largest + std::log(sum);
}

}  // namespace

double exact_uniform(const Philox& rng, Chain chain, uint32_t step, Purpose purpose, size_t element) {
  const auto words = rng.bits(chain, step, purpose, static_cast<uint32_t>(element / 4));
  const float rounded = static_cast<float>((static_cast<double>(words[element % 4]) + 0.5) / 4294967296.0);
  return static_cast<double>(std::min(rounded, std::nextafter(1.0f, 0.0f)));
}

std::vector<double> exact_normals(const Philox& rng, Chain chain, uint32_t step, Purpose purpose, size_t n) {
  std::vector<double> result(n);
  for (size_t i = 0; i < n; ++i) {
    const double u = exact_uniform(rng, chain, step, purpose, i / 2 * 2),
                 v = exact_uniform(rng, chain, step, purpose, i / 2 * 2 + 1);
    const double radius = std::sqrt(-2 * std::log(u)), angle = 2 * static_cast<double>(kPi) * v;
    result[i] = radius * (i % 2 == 0 ? std::cos(angle) : std::sin(angle));
  }
  return result;
}

size_t exact_choice(const std::vector<long double>& weights, double u) {
  long double total = 0, sum = 0;
  for (const long double w : weights) total += w;
  size_t last = 0;
  for (size_t k = 0; k < weights.size(); ++k) {
    if (weights[k] > 0) last = k;
    sum += weights[k];
    if (sum > static_cast<long double>(u) * total) return k;
  }
  return last;
}

std::vector<long double> MixtureInput::probabilities(size_t row) const {
  std::vector<long double> result(logits.begin() + static_cast<std::ptrdiff_t>(row * components),
                                  logits.begin() + static_cast<std::ptrdiff_t>((row + 1) * components));
  const long double norm = log_sum_exp(result);
  for (long double& value : result) value = std::exp(value - norm);
  return result;
}

std::vector<MixtureInput> mixture_inputs(size_t n, size_t components, size_t latent) {
  const MixtureInput usual{"usual",
                           n,
                           components,
                           latent,
                           normals(n * components, 1),
                           normals(n * components * latent, 2),
                           uniforms(latent, 3, -1.5f, 0.5f),
                           normals(n * latent, 4)};
  std::vector<MixtureInput> all = {usual};
  all.reserve(8);  // references into it stay valid
  const auto add = [&](const char* name) -> MixtureInput& {
    all.push_back(usual);
    all.back().name = name;
    return all.back();
  };
  add("std 0.01").log_stds.assign(latent, std::log(0.01f));
  // Means within a hundredth of z, so that several components share the responsibility.
  MixtureInput& near = add("near");
  near.log_stds.assign(latent, std::log(0.01f));
  for (size_t i = 0; i < near.means.size(); ++i) {
    const size_t row = i / (components * latent);
    near.means[i] = near.z[row * latent + i % latent] + 0.002f * usual.means[i];
  }
  MixtureInput &large = add("log-std ±80"), &huge = add("log-std ±1e4"), &certain = add("logits ±1e4");
  for (size_t j = 0; j < latent; ++j) {
    large.log_stds[j] = j % 3 == 0 ? -80.0f : j % 3 == 1 ? 80.0f : 0.0f;
    huge.log_stds[j] = j % 3 == 0 ? 1e4f : j % 3 == 1 ? -1e4f : 0.0f;
  }
  for (size_t i = 0; i < certain.logits.size(); ++i) certain.logits[i] *= 1e4f;
  MixtureInput& alike = add("alike");
  for (size_t i = 0; i < alike.means.size(); ++i)
    alike.means[i] = usual.means[i / (components * latent) * components * latent + i % latent];
  alike.logits.assign(n * components, 3.0f);
  MixtureInput& far = add("far");
  for (float& value : far.means) value *= 1e30f;
  for (float& value : far.z) value *= -1e30f;
  return all;
}

std::vector<MixtureInput> by_component(std::vector<MixtureInput> inputs) {
  for (MixtureInput& in : inputs) {
    const std::vector<float> shared = in.log_stds;
    in.log_stds.clear();
    in.component_stds = true;
    // Not at the extremes: there all of σ is the floor or the float's largest.
    for (size_t k = 0; k < in.components; ++k)
      for (const float s : shared) in.log_stds.push_back(s + 0.25f * static_cast<float>(k));
  }
  return inputs;
}

Density exact_density(const MixtureInput& q, size_t row, const float* z) {
  const std::vector<long double> probabilities = q.probabilities(row);
  std::vector<long double> joint(q.components);
  std::vector<long double> stds(q.log_stds.size());
  for (size_t s = 0; s < stds.size(); ++s)
    stds[s] = std::exp(static_cast<long double>(q.log_stds[s])) + 1e-6L;
  for (size_t k = 0; k < q.components; ++k) {
    joint[k] = std::log(probabilities[k]);
    for (size_t j = 0; j < q.latent; ++j) {
      const long double mean = q.means[(row * q.components + k) * q.latent + j],
                        sigma = stds[q.std_index(k, j)];
      const long double u = (static_cast<long double>(z[j]) - mean) / sigma;
      joint[k] -= 0.5L * u * u + std::log(sigma) + 0.5L * std::log(2 * kPi);
    }
  }
  Density result{log_sum_exp(joint), std::move(joint)};
  for (long double& value : result.responsibilities) value = std::exp(value - result.log);
  return result;
}

PriorElement mixed_element(size_t j) {
  constexpr float inf = std::numeric_limits<float>::infinity();
  const PriorElement kinds[] = {{0.3f, 0.9f, -inf, inf},
                                {0.125f, 1.2f, -1.875f, 2.125f},
                                {0, inf, -2, 1},
                                {0.0625f, 1.3f, -0.4375f, 0.5625f}};
  PriorElement element = kinds[j % 4];
  element.std *= 1 + 0.03125f * static_cast<float>(j / 4 % 8);  // four neighbours are not like the next four
  return element;
}

std::vector<PriorValues> every_prior(size_t d) {
  Prior normal;
  normal.dim = d;
  normal.std = 1.3f;
  Prior wide = normal, narrow = normal, uniform = normal;
  wide.kind = narrow.kind = Prior::Kind::truncated_normal;
  wide.bound = 2;
  narrow.bound = 0.4f;
  uniform.kind = Prior::Kind::uniform;
  uniform.low = -2;
  uniform.high = 1;
  Prior elements = normal;
  elements.kind = Prior::Kind::elements;
  std::vector<PriorElement> list;
  for (size_t j = 0; j < d; ++j) list.push_back(mixed_element(j));
  std::vector<PriorValues> all;
  for (const Prior& prior : {normal, wide, narrow, uniform})
    all.emplace_back(prior, std::vector<PriorElement>());
  all.emplace_back(elements, list);
  return all;
}

const char* prior_name(const Prior& prior) {
  if (prior.kind == Prior::Kind::normal) return "normal";
  if (prior.kind == Prior::Kind::uniform) return "uniform";
  if (prior.kind == Prior::Kind::elements) return "elements";
  return prior.bound >= prior.std ? "truncated" : "narrow";
}

double exact_log_prior(const Prior& prior, const float* z) {
  long double sum = 0;
  const auto outside = -std::numeric_limits<double>::infinity();
  for (size_t j = 0; j < prior.dim; ++j) {
    const long double x = z[j], std = prior.std;
    if (!std::isfinite(z[j])) return outside;
    if (prior.kind == Prior::Kind::elements) {
      const PriorElement& e = prior.elements[j];
      if (x < e.low || x > e.high) return outside;
      if (std::isinf(e.std)) {
        sum -= std::log(static_cast<long double>(e.high) - e.low);
        continue;
      }
      const long double u = (x - e.mean) / e.std;
      sum -= 0.5L * u * u + std::log(static_cast<long double>(e.std)) + 0.5L * std::log(2 * kPi);
      if (std::isfinite(e.low))
        sum -= std::log(std::erf((static_cast<long double>(e.high) - e.low) / (2 * std::sqrt(2.0L) * e.std)));
      continue;
    }
    if (prior.kind == Prior::Kind::uniform) {
      if (x < prior.low || x > prior.high) return outside;
      sum -= std::log(static_cast<long double>(prior.high) - prior.low);
      continue;
    }
    sum -= 0.5L * (x / std) * (x / std) + std::log(std) + 0.5L * std::log(2 * kPi);
    if (prior.kind != Prior::Kind::truncated_normal) continue;
    if (std::fabs(x) > prior.bound) return outside;
    sum -= std::log(std::erf(static_cast<long double>(prior.bound) / std / std::sqrt(2.0L)));
  }
  return static_cast<double>(sum);
}

}  // namespace tr0n::selftest
