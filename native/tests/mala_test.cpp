/// MALA in standard coordinates: the coordinates themselves, moments of targets that are known, and accept
/// probabilities that do not depend on the number of dimensions or on the prior's scale.
#include <cmath>
#include <cstdio>

#include "core/prior/draw.h"
#include "core/prior/standard_latent.h"
#include "core/sampling/mala_scale.h"
#include "core/sampling/sampler.h"
#include "device/kernels/normal_quantile.h"
#include "tests/check.h"

using namespace tr0n;

namespace {

/// E(z, c) = ½ Σ_k a_k (q_k·z − c_k)², q_k orthonormal: with a normal prior of equal stds the target is a
/// Gaussian with eigenvectors q_k. One condition of d numbers.
class Ridge : public Objective {
 public:
  Ridge(std::vector<double> curvatures, bool rotated) : a(std::move(curvatures)) {
    // I − 2vvᵀ/‖v‖² with v = (1, 2, …, d): every direction has a part of every dimension.
    double square = 0;
    for (size_t j = 0; j < a.size(); ++j) square += v(j) * v(j);
    factor_ = rotated ? 2 / square : 0;
  }
  double q(size_t k, size_t j) const { return (k == j ? 1.0 : 0.0) - factor_ * v(k) * v(j); }
  size_t latent_size() const override { return a.size(); }
  size_t condition_size() const override { return a.size(); }
  bool has_gradient() const override { return true; }
  void energy(const float* z, const float* c, size_t n, const EnergyDraws& draws, float* energies,
              CancelToken& cancel) override {
    evaluate(z, c, n, draws, energies, nullptr, cancel);
  }
  void evaluate(const float* z, const float* c, size_t n, const EnergyDraws&, float* energies,
                float* gradients, CancelToken&) override {
    const size_t d = a.size();
    std::vector<double> slopes(d);
    for (size_t i = 0; i < n; ++i) {
      double sum = 0;
      const double along = product(z + i * d);
      for (size_t k = 0; k < d; ++k) {
        const double r = static_cast<double>(z[i * d + k]) - along * v(k) - static_cast<double>(c[i * d + k]);
        sum += 0.5 * a[k] * r * r;
        slopes[k] = a[k] * r;
      }
      energies[i] = static_cast<float>(sum);
      if (gradients == nullptr) continue;
      double back = 0;
      for (size_t k = 0; k < d; ++k) back += factor_ * v(k) * slopes[k];
      for (size_t j = 0; j < d; ++j) gradients[i * d + j] = static_cast<float>(slopes[j] - back * v(j));
    }
  }
  const std::vector<double> a;

 private:
  static double v(size_t j) { return static_cast<double>(j + 1); }
  double product(const float* z) const {
    double sum = 0;
    for (size_t j = 0; j < a.size(); ++j) sum += factor_ * v(j) * static_cast<double>(z[j]);
    return sum;
  }
  double factor_;
};

Prior prior_of(Prior::Kind kind, size_t dim) {
  Prior prior;
  prior.kind = kind;
  prior.dim = dim;
  return prior;
}

SampleResult run(Objective& objective, const Prior& prior, const SamplerConfig& config, size_t count,
                 const std::vector<float>& condition) {
  CancelToken cancel;
  const uint32_t stream = 3;
  SampleRequest request;
  request.conditions = condition.data();
  request.condition_count = 1;
  request.streams = &stream;
  request.count = count;
  return sample(objective, nullptr, prior, config, request, cancel, {});
}

SamplerConfig from_prior(size_t steps) {
  SamplerConfig config;
  config.start = Start::prior;
  config.steps = steps;
  config.seed = 11;
  return config;
}

/// Mean and variance along q_k against N(mean, variance), within four standard errors of `count` chains that
/// are independent of each other.
void check_direction(const Ridge& ridge, const SampleResult& result, size_t k, double mean, double variance) {
  const size_t d = ridge.a.size(), count = result.energies.size();
  double sum = 0, square = 0;
  for (size_t i = 0; i < count; ++i) {
    double x = 0;
    for (size_t j = 0; j < d; ++j) x += ridge.q(k, j) * static_cast<double>(result.latents[i * d + j]);
    sum += x - mean;
    square += (x - mean) * (x - mean);
  }
  const double n = static_cast<double>(count);
  CHECK_NEAR(sum / n / std::sqrt(variance / n), 0.0, 4.0);
  CHECK_NEAR((square / n / variance - 1) / std::sqrt(2 / n), 0.0, 4.0);
}

/// Prior N(0, s²) in every direction.
void check_gaussian(const Ridge& ridge, const SampleResult& result, const std::vector<float>& c, double s) {
  for (size_t k = 0; k < c.size(); ++k) {
    const double precision = ridge.a[k] + 1 / (s * s);
    check_direction(ridge, result, k, ridge.a[k] * static_cast<double>(c[k]) / precision, 1 / precision);
  }
}

/// Mean and variance of exp(−weight·U_p(x) − ½a(x − c)²) on [low, high] by the midpoint rule.
std::pair<double, double> moments(double low, double high, double weight, double mean, double std, double a,
                                  double c) {
  double total = 0, first = 0, second = 0;
  constexpr int steps = 200000;
  for (int i = 0; i < steps; ++i) {
    const double x = low + (high - low) * (i + 0.5) / steps, u = (x - mean) / std;
    const double p = std::exp(-0.5 * weight * u * u - 0.5 * a * (x - c) * (x - c));
    total += p;
    first += p * x;
    second += p * x * x;
  }
  first /= total;
  return {first, second / total - first * first};
}

}  // namespace

TEST(normal_quantile_against_erfc) {
  CHECK(normal_quantile(0.5) == 0);
  CHECK(std::isinf(normal_quantile(0)) && normal_quantile(0) < 0);
  for (double p = 0.4999; p > 1e-300; p *= 0.93)
    CHECK_NEAR(0.5 * std::erfc(-normal_quantile(p) / std::sqrt(2.0)) / p, 1.0, 1e-11);
}

TEST(standard_coordinates_of_a_prior_are_standard_normal) {
  std::vector<PriorElement> elements = {{3, 0.01f, -INFINITY, INFINITY},
                                        {1, 2, -1, 3},
                                        {0, INFINITY, 5, 5.5f},
                                        {-2, 0.5f, -2.0078125f, -1.9921875f}};
  Prior mixed = prior_of(Prior::Kind::elements, 4);
  mixed.elements = elements.data();
  Prior narrow = prior_of(Prior::Kind::normal, 4), cut = prior_of(Prior::Kind::truncated_normal, 4),
        flat = prior_of(Prior::Kind::uniform, 4);
  narrow.std = 1e-3f;
  cut.std = 1;
  cut.bound = 2;
  flat.low = -3;
  flat.high = 1;
  constexpr size_t n = 20000;
  for (const Prior& prior : {mixed, narrow, cut, flat}) {
    std::vector<float> z(n * 4), u(n * 4);
    draw_prior(prior, 5, 0, 0, n, Purpose::prior, z.data());
    const std::vector<float> drawn = z;
    const StandardLatent standard(cpu_device(), prior);
    standard.to_standard(n, z.data(), u.data());
    for (size_t j = 0; j < 4; ++j) {
      double mean = 0, square = 0, fourth = 0, low = 1e30, high = -1e30;
      for (size_t i = 0; i < n; ++i) {
        const double x = static_cast<double>(u[4 * i + j]);
        mean += x / n;
        square += x * x / n;
        fourth += x * x * x * x / n;
        low = std::fmin(low, static_cast<double>(drawn[4 * i + j]));
        high = std::fmax(high, static_cast<double>(drawn[4 * i + j]));
      }
      CHECK_NEAR(mean, 0, 4 / std::sqrt(n));
      CHECK_NEAR(square, 1, 4 * std::sqrt(2.0 / n));
      CHECK_NEAR(fourth, 3, 4 * std::sqrt(96.0 / n));
      for (size_t i = 0; i < n; ++i)
        CHECK_NEAR(static_cast<double>(z[4 * i + j]), static_cast<double>(drawn[4 * i + j]),
                   2e-5 * (high - low));
    }
    // No u leaves the support, and z = T(u) again gives the same bits.
    std::vector<float> far = {-40, 40, -7, 7}, there(4), again(n * 4);
    standard.from_standard(1, far.data(), there.data());
    CHECK(prior.contains(there.data()));
    standard.from_standard(n, u.data(), again.data());
    CHECK(again == z);
  }
}

TEST(pulled_back_gradients_against_differences) {
  std::vector<PriorElement> elements = {{3, 0.1f, -INFINITY, INFINITY},
                                        {1, 2, -1, 3},
                                        {0, INFINITY, 5, 5.5f},
                                        {-2, 0.5f, -2.0078125f, -1.9921875f}};
  Prior prior = prior_of(Prior::Kind::elements, 4);
  prior.elements = elements.data();
  const StandardLatent standard(cpu_device(), prior);
  // E = Σ b_j z_j: the target without w·½‖u‖² is λE + (w − 1)·Σ_bounded [U_p − ½u²], in double here.
  const float slopes[4] = {2, -1, 8, 300};
  const auto target = [&](const double* u, double lambda, double w) {
    double sum = 0;
    for (size_t j = 0; j < 4; ++j) {
      const PriorElement& e = elements[j];
      const double mean = static_cast<double>(e.mean), std = static_cast<double>(e.std);
      const double phi = 0.5 * std::erfc(-u[j] / std::sqrt(2.0));
      double z = mean + std * u[j], prior_energy = 0;
      if (j == 2) z = 5 + 0.5 * phi;
      if (j == 1 || j == 3) {
        const double b = 0.5 * (static_cast<double>(e.high) - static_cast<double>(e.low)) / std;
        const double tail = 0.5 * std::erfc(b / std::sqrt(2.0)), p = tail + (1 - 2 * tail) * phi;
        const double x = p < 0.5 ? normal_quantile(p) : -normal_quantile(1 - p);
        z = mean + std * x;
        prior_energy = 0.5 * x * x;
      }
      sum += lambda * static_cast<double>(slopes[j]) * z;
      if (j > 0) sum += (w - 1) * (prior_energy - 0.5 * u[j] * u[j]);
    }
    return sum;
  };
  const float u[4] = {0.5f, -1.25f, 1.5f, 0.75f};
  float z[4];
  standard.from_standard(1, u, z);
  for (const double lambda : {1.0, 3.0})
    for (const double w : {0.0, 1.0, 2.5}) {
      float gradients[4], energies = 0, out;
      std::copy_n(slopes, 4, gradients);
      for (size_t j = 0; j < 4; ++j) energies += slopes[j] * z[j];
      standard.pull_back({lambda, w, 0}, 1, u, z, &energies, &out, gradients);
      double here[4] = {0.5, -1.25, 1.5, 0.75};
      CHECK_NEAR(static_cast<double>(out), target(here, lambda, w), 1e-3);
      for (size_t j = 0; j < 4; ++j) {
        const double at = here[j], step = 1e-4;
        here[j] = at + step;
        const double up = target(here, lambda, w);
        here[j] = at - step;
        const double difference = (up - target(here, lambda, w)) / (2 * step);
        here[j] = at;
        CHECK_NEAR(static_cast<double>(gradients[j]), difference, 1e-5 * std::fabs(difference) + 1e-6);
      }
    }
  // Clipped: as long as the norm says, and in the same direction.
  float free[4], clipped[4], energy = 0, out;
  std::copy_n(slopes, 4, free);
  std::copy_n(slopes, 4, clipped);
  standard.pull_back({3, 1, 0}, 1, u, z, &energy, &out, free);
  standard.pull_back({3, 1, 0.5}, 1, u, z, &energy, &out, clipped);
  double norm = 0;
  for (const float g : clipped) norm += static_cast<double>(g) * static_cast<double>(g);
  CHECK_NEAR(std::sqrt(norm), 0.5, 1e-6);
  for (size_t j = 1; j < 4; ++j)
    CHECK_NEAR(static_cast<double>(clipped[j] / clipped[0]), static_cast<double>(free[j] / free[0]), 1e-5);
}

TEST(mala_moments_of_gaussians) {
  // Curvatures 0 to 1,000 of the likelihood in units of the prior, with the prior's std far from 1.
  const std::vector<float> c = {1, -1, 0.5f, 2, 0, -0.03f};
  for (const double s : {1.0, 30.0, 0.01})
    for (const bool rotated : {false, true}) {
      std::vector<double> curvatures = {0, 0.3, 2, 10, 100, 1000};
      std::vector<float> condition = c;
      for (double& a : curvatures) a /= s * s;
      for (float& x : condition) x *= static_cast<float>(s);
      Ridge ridge(curvatures, rotated);
      Prior prior = prior_of(Prior::Kind::normal, c.size());
      prior.std = static_cast<float>(s);
      SamplerConfig config = from_prior(6000);
      config.adapt = Adapt::pilot;
      config.pilot_steps = 200;
      const SampleResult result = run(ridge, prior, config, 400, condition);
      std::printf("  std %g%s: acceptance %.3f, h %.2g\n", s, rotated ? ", rotated" : "",
                  static_cast<double>(result.acceptance[0]), static_cast<double>(result.step_sizes[0]));
      CHECK(result.acceptance[0] > 0.4f && result.acceptance[0] < 0.75f);
      check_gaussian(ridge, result, condition, s);
    }
}

TEST(mala_moments_under_scales_that_differ) {
  // Deviations from 1e-3 to 30 in one latent: a step in z would be as short as the narrowest.
  std::vector<PriorElement> elements;
  for (const float std : {1e-3f, 0.03f, 1.0f, 30.0f}) elements.push_back({0, std, -INFINITY, INFINITY});
  Prior prior = prior_of(Prior::Kind::elements, 4);
  prior.elements = elements.data();
  Ridge ridge({2e6, 1e3, 0.5, 1e-3}, false);
  const std::vector<float> c = {5e-4f, -0.02f, 1, 20};
  SamplerConfig config = from_prior(60);
  config.adapt = Adapt::pilot;
  const SampleResult result = run(ridge, prior, config, 20000, c);
  for (size_t k = 0; k < 4; ++k) {
    const double std = static_cast<double>(elements[k].std), precision = ridge.a[k] + 1 / (std * std);
    check_direction(ridge, result, k, ridge.a[k] * static_cast<double>(c[k]) / precision, 1 / precision);
  }
}

TEST(mala_moments_on_bounded_supports) {
  Ridge ridge({4, 0.5}, false);
  const std::vector<float> c = {0.8f, -3};
  for (const double weight : {1.0, 0.0, 2.5})
    for (const bool cut : {true, false}) {
      Prior prior = prior_of(cut ? Prior::Kind::truncated_normal : Prior::Kind::uniform, 2);
      prior.std = cut ? 0.5f : 1;
      prior.bound = 1;
      prior.low = -2;
      prior.high = 1;
      SamplerConfig config = from_prior(60);
      config.adapt = Adapt::pilot;
      config.prior_weight = weight;
      const SampleResult result = run(ridge, prior, config, 20000, c);
      for (size_t k = 0; k < 2; ++k) {
        const auto [mean, variance] =
            moments(cut ? -1 : -2, 1, cut ? weight : 0, 0, 0.5, ridge.a[k], static_cast<double>(c[k]));
        double sum = 0, square = 0;
        for (size_t i = 0; i < 20000; ++i) {
          const double x = static_cast<double>(result.latents[2 * i + k]) - mean;
          sum += x / 20000;
          square += x * x / 20000;
        }
        CHECK_NEAR(sum, 0, 4 * std::sqrt(variance / 20000));
        // Of a bounded variable the square's deviation is below a normal's.
        CHECK_NEAR(square / variance, 1, 4 * std::sqrt(2.0 / 20000));
      }
    }
}

TEST(mala_accepts_in_every_dimension_under_every_prior) {
  for (const size_t d : {1u, 2u, 16u, 128u, 512u, 4096u, 16384u})
    for (const Prior::Kind kind : {Prior::Kind::normal, Prior::Kind::truncated_normal, Prior::Kind::uniform})
      for (const double scale : {1.0, 1e-3})
        for (const double curvature : {0.0, 2.0}) {
          Prior prior = prior_of(kind, d);
          prior.std = static_cast<float>(scale);
          prior.bound = static_cast<float>(2 * scale);
          prior.low = static_cast<float>(-scale);
          prior.high = static_cast<float>(scale);
          std::vector<double> curvatures(d);
          curvatures[0] = curvature / (scale * scale);
          Ridge ridge(curvatures, false);
          const SampleResult result = run(ridge, prior, from_prior(4), 24, std::vector<float>(d));
          if (kind == Prior::Kind::normal && curvature == 0 && scale == 1)
            std::printf("  d %zu: acceptance %.2f, h %.2g\n", d, static_cast<double>(result.acceptance[0]),
                        static_cast<double>(result.step_sizes[0]));
          CHECK(result.acceptance[0] > 0.4f && result.acceptance[0] < 0.95f);
        }
}

TEST(mala_steps_come_back_from_any_first_size) {
  for (const size_t d : {2u, 512u})
    for (const double first : {1e-3, 1e6}) {
      Ridge ridge(std::vector<double>(d, 1), false);
      SamplerConfig config = from_prior(30);
      config.step_size = first;
      config.adapt = Adapt::pilot;
      config.pilot_steps = 400;
      Prior prior = prior_of(Prior::Kind::normal, d);
      const SampleResult result = run(ridge, prior, config, 20, std::vector<float>(d));
      CHECK(result.acceptance[0] > 0.4f && result.acceptance[0] < 0.8f);
      if (first < 1) continue;
      // While sampling, too: a rate that knew the accept probability alone would need thousands of steps.
      config.adapt = Adapt::chain;
      CHECK(run(ridge, prior, config, 20, std::vector<float>(d)).acceptance[0] > 0.1f);
    }
}
