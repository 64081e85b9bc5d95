#include "core/sampling/sampler.h"
#include "core/prior/draw.h"

#include <atomic>
#include <limits>

#include "base/thread_pool.h"
#include "core/training/trainer.h"
#include "tests/check.h"

using namespace tr0n;

namespace {

/// E(z, c) = ½ (z − c)ᵀ A (z − c) in two dimensions: with a standard normal prior the target is a Gaussian
/// with precision λA + I and mean (λA + I)⁻¹ λA c.
class Quadratic : public Objective {
 public:
  static constexpr double kA[2][2] = {{3, 1}, {1, 2}};
  size_t latent_size() const override { return 2; }
  size_t condition_size() const override { return 2; }
  bool has_gradient() const override { return gradient; }
  void energy(const float* z, const float* c, size_t n, const EnergyDraws& draws, float* energies,
              CancelToken& cancel) override {
    evaluate(z, c, n, draws, energies, nullptr, cancel);
  }
  void evaluate(const float* z, const float* c, size_t n, const EnergyDraws& draws, float* energies,
                float* gradients, CancelToken&) override {
    if (on_draws) on_draws(draws, n);
    ++calls;
    rows += n;
    for (size_t i = 0; i < n; ++i) {
      const double u = static_cast<double>(z[2 * i] - c[2 * i]),
                   v = static_cast<double>(z[2 * i + 1] - c[2 * i + 1]);
      const double gu = kA[0][0] * u + kA[0][1] * v, gv = kA[1][0] * u + kA[1][1] * v;
      energies[i] = static_cast<float>(0.5 * (u * gu + v * gv));
      if (broken(z + 2 * i)) energies[i] = std::numeric_limits<float>::quiet_NaN();
      if (gradients == nullptr) continue;
      gradients[2 * i] = static_cast<float>(gu);
      gradients[2 * i + 1] = static_cast<float>(gv);
    }
    if (on_call) on_call();
  }
  bool gradient = true;
  std::function<bool(const float*)> broken = [](const float*) { return false; };
  std::function<void()> on_call;
  std::function<void(const EnergyDraws&, size_t)> on_draws;
  size_t calls = 0, rows = 0;
};

Prior standard(size_t dim = 2) {
  Prior prior;
  prior.dim = dim;
  return prior;
}

/// Both dimensions, or `size` of them.
UpdateGroup sgld(double learning_rate, double noise, double clip, double bound, size_t size = 2) {
  UpdateGroup group;
  group.size = size;
  group.learning_rate = learning_rate;
  group.noise = noise;
  group.clip = clip;
  group.bound = bound;
  return group;
}

TranslatorConfig shape() {
  TranslatorConfig config;
  config.condition = 2;
  config.hidden = 8;
  config.latent = 2;
  config.components = 4;
  return config;
}

struct Fixture {
  Translator translator{cpu_device(), shape(), 3};
  Prior prior = standard();
  std::vector<float> conditions{1, -0.5f, 0, 2, -1, -1};
  std::vector<uint32_t> streams{4, 9, 2};
  CancelToken cancel;

  SampleResult run(Objective& objective, const SamplerConfig& config, size_t count, uint32_t first = 0,
                   size_t from = 0, size_t conditions_count = 3,
                   const std::function<void(const SampleProgress&)>& progress = {}) {
    SampleRequest request;
    request.conditions = conditions.data() + from * 2;
    request.condition_count = conditions_count;
    request.streams = streams.data() + from;
    request.count = count;
    request.first = first;
    return sample(objective, &translator, prior, config, request, cancel, progress);
  }
};

/// Mean and covariance of one condition's samples against the exact posterior.
void check_posterior(const SampleResult& result, size_t count, const std::vector<float>& conditions,
                     double lambda, double tolerance) {
  for (size_t b = 0; b < conditions.size() / 2; ++b) {
    double mean[2] = {}, cov[3] = {};
    const float* z = result.latents.data() + b * count * 2;
    for (size_t i = 0; i < count; ++i)
      for (size_t j = 0; j < 2; ++j)
        mean[j] += static_cast<double>(z[2 * i + j]) / static_cast<double>(count);
    for (size_t i = 0; i < count; ++i) {
      const double u = static_cast<double>(z[2 * i]) - mean[0],
                   v = static_cast<double>(z[2 * i + 1]) - mean[1];
      cov[0] += u * u / static_cast<double>(count);
      cov[1] += u * v / static_cast<double>(count);
      cov[2] += v * v / static_cast<double>(count);
    }
    const double p = lambda * 3 + 1, q = lambda, r = lambda * 2 + 1, det = p * r - q * q;
    const double x = static_cast<double>(conditions[2 * b]), y = static_cast<double>(conditions[2 * b + 1]);
    const double gx = lambda * (3 * x + y), gy = lambda * (x + 2 * y);
    CHECK_NEAR(mean[0], (r * gx - q * gy) / det, tolerance);
    CHECK_NEAR(mean[1], (p * gy - q * gx) / det, tolerance);
    CHECK_NEAR(cov[0], r / det, tolerance);
    CHECK_NEAR(cov[1], -q / det, tolerance);
    CHECK_NEAR(cov[2], p / det, tolerance);
  }
}

bool same(const std::vector<float>& whole, size_t offset, const std::vector<float>& part) {
  return std::equal(part.begin(), part.end(), whole.begin() + static_cast<std::ptrdiff_t>(offset));
}

}  // namespace

TEST(mala_reaches_the_posterior) {
  Fixture f;
  Quadratic objective;
  SamplerConfig config;
  config.start = Start::prior;
  config.steps = 80;
  config.step_size = 0.3;
  for (const double lambda : {1.0, 3.0})
    for (const double drift : {10.0, 1.0}) {  // clipping is exact
      config.fidelity = lambda;
      config.max_drift = drift;
      config.adapt = drift > 5 ? Adapt::chain : Adapt::none;
      const SampleResult result = f.run(objective, config, 20000);
      check_posterior(result, 20000, f.conditions, lambda, 0.012);
      CHECK(result.gradients == 81u * 60000 && result.forwards == 0);
      CHECK(result.acceptance[0] > 0.3f && result.acceptance[0] < 1.0f);
      CHECK(std::isnan(result.ess[0]));
    }
}

TEST(resampling_reaches_the_posterior) {
  Fixture f;
  Quadratic objective;
  objective.gradient = false;
  SamplerConfig config;
  config.kernel = Transition::none;
  config.candidates = config.max_candidates = 300;
  for (const double alpha : {0.1, 0.0, 1.0}) {
    config.prior_fraction = alpha;
    const SampleResult result = f.run(objective, config, 3000);
    check_posterior(result, 3000, f.conditions, 1, 0.04);
    CHECK(result.forwards == 300u * 9000 && result.gradients == 0);
    CHECK(result.candidates[1] == 300 && result.ess[1] > 10 && result.ess[1] < 300);
  }
}

TEST(energies_belong_to_the_latents) {
  Fixture f;
  Quadratic objective;
  for (const Transition kernel :
       {Transition::none, Transition::mala, Transition::langevin, Transition::hybrid})
    for (const Start start : {Start::resample, Start::translator, Start::mode, Start::prior}) {
      SamplerConfig config;
      config.kernel = kernel;
      config.start = start;
      config.steps = 3;
      std::vector<size_t> steps;
      const auto verify = [&](const float* latents, const float* energies, size_t n) {
        for (size_t i = 0; i < n; ++i) {
          float expected;
          const Chain chain;
          objective.energy(latents + 2 * i, f.conditions.data() + i / 5 * 2, 1, {Philox(0), &chain, 0},
                           &expected, f.cancel);
          CHECK(expected == energies[i]);
        }
      };
      const SampleResult result = f.run(objective, config, 5, 0, 0, 3, [&](const SampleProgress& p) {
        steps.push_back(p.step);
        verify(p.latents(), p.energies, p.chains);
      });
      CHECK(
          (steps == (kernel == Transition::none ? std::vector<size_t>{0} : std::vector<size_t>{0, 1, 2, 3})));
      CHECK(result.latents.size() == 30 && result.energies.size() == 15);
      verify(result.latents.data(), result.energies.data(), 15);
      const uint64_t gradients = kernel == Transition::none ? 0 : kernel == Transition::mala ? 60 : 45;
      CHECK(result.gradients == gradients);
    }
}

TEST(chains_do_not_depend_on_the_split) {
  Fixture f;
  Quadratic objective;
  ThreadPool& pool = ThreadPool::instance();
  const size_t threads = pool.size();
  for (const Transition kernel :
       {Transition::none, Transition::mala, Transition::langevin, Transition::hybrid})
    for (const Start start : {Start::resample, Start::translator, Start::mode, Start::prior}) {
      SamplerConfig config;
      config.kernel = kernel;
      config.start = start;
      config.seed = 5;
      config.candidates = 2;
      config.max_candidates = 64;
      config.fidelity = 3;
      pool.resize(1);
      const SampleResult whole = f.run(objective, config, 300);
      for (const size_t count : {2u, 5u}) {
        pool.resize(count);
        const SampleResult again = f.run(objective, config, 300);
        CHECK(again.latents == whole.latents && again.energies == whole.energies);
        CHECK(again.candidates == whole.candidates);
      }
      for (size_t b = 0; b < 3; ++b)
        for (const size_t first : {0u, 2u, 3u, 7u, 299u}) {
          const size_t count = std::min<size_t>(300 - first, 3);
          const SampleResult part = f.run(objective, config, count, static_cast<uint32_t>(first), b, 1);
          CHECK(same(whole.latents, (b * 300 + first) * 2, part.latents));
          CHECK(same(whole.energies, b * 300 + first, part.energies));
          CHECK(part.candidates[0] == whole.candidates[b]);
        }
      if (start == Start::resample && kernel == Transition::mala) {
        std::printf("  M %u %u %u, ESS %.2f %.2f %.2f\n", whole.candidates[0], whole.candidates[1],
                    whole.candidates[2], static_cast<double>(whole.ess[0]), static_cast<double>(whole.ess[1]),
                    static_cast<double>(whole.ess[2]));
        CHECK(whole.candidates[0] > 2);
      }
    }
  pool.resize(threads);
}

TEST(more_candidates_extend_fewer) {
  // Reached by doubling or asked for at once, and in chunks smaller than a chain's candidates: the same
  // result.
  Fixture f;
  Quadratic objective;
  SamplerConfig grown;
  grown.kernel = Transition::none;
  grown.candidates = 4;
  grown.max_candidates = 20000;
  grown.min_ess = 1e9;
  grown.pilot_chains = 2;
  const SampleResult a = f.run(objective, grown, 3);
  SamplerConfig direct = grown;
  direct.candidates = 20000;
  const SampleResult b = f.run(objective, direct, 3);
  CHECK(a.candidates[0] == 20000 && a.latents == b.latents && a.ess == b.ess);
  CHECK(a.forwards == b.forwards);
}

TEST(bounded_priors_stay_inside) {
  Fixture f;
  Quadratic objective;
  f.prior.kind = Prior::Kind::uniform;
  f.prior.low = -0.5f;
  f.prior.high = 0.5f;
  SamplerConfig config;
  config.steps = 20;
  config.step_size = 0.5;
  for (const Start start : {Start::resample, Start::prior, Start::translator, Start::mode})
    for (const Transition kernel : {Transition::mala, Transition::none}) {
      config.start = start;
      config.kernel = kernel;
      const SampleResult result = f.run(objective, config, 500);
      for (const float z : result.latents) CHECK(z >= -0.5f && z <= 0.5f);
      // All of them move, wherever the translator has put them.
      if (kernel == Transition::mala) CHECK(result.acceptance[0] > 0.2);
    }
}

TEST(chains_start_though_the_translator_misses_the_support) {
  // Every draw of q is beyond these bounds: only the candidates from the prior, one in ten, are inside.
  Fixture f;
  Quadratic objective;
  f.prior.kind = Prior::Kind::uniform;
  f.prior.low = 50;
  f.prior.high = 51;
  SamplerConfig config;
  config.candidates = config.max_candidates = 4;
  const SampleResult whole = f.run(objective, config, 200);
  for (const float z : whole.latents) CHECK(z >= 50 && z <= 51);
  const SampleResult part = f.run(objective, config, 5, 100, 1, 1);
  CHECK(same(whole.latents, (200 + 100) * 2, part.latents));
  config.prior_fraction = 0;
  CHECK_CODE("ERR_DIVERGED", f.run(objective, config, 2));
}

TEST(candidates_without_energy_have_no_weight) {
  Fixture f;
  Quadratic objective;
  objective.broken = [](const float* z) { return z[0] < 0; };
  SamplerConfig config;
  config.candidates = 64;
  const SampleResult result = f.run(objective, config, 500);
  for (size_t i = 0; i < 1500; ++i) CHECK(result.latents[2 * i] >= 0 && std::isfinite(result.energies[i]));
  objective.broken = [](const float*) { return true; };
  CHECK_CODE("ERR_DIVERGED", f.run(objective, config, 2));
  config.start = Start::prior;
  for (const Transition kernel :
       {Transition::none, Transition::mala, Transition::langevin, Transition::hybrid}) {
    config.kernel = kernel;
    CHECK_CODE("ERR_DIVERGED", f.run(objective, config, 2));
  }
  objective.broken = [](const float*) { return false; };
  config.kernel = Transition::langevin;
  config.groups = {sgld(1e30, 0.01, 0, 0)};
  config.steps = 10;
  CHECK_CODE("ERR_DIVERGED", f.run(objective, config, 2));
}

TEST(langevin_without_noise_against_double) {
  Fixture f;
  Quadratic objective;
  SamplerConfig config;
  config.start = Start::prior;
  config.kernel = Transition::langevin;
  config.steps = 20;
  config.groups = {sgld(0.1, 0, 1, 1.2)};
  config.fidelity = 2;
  config.prior_weight = 0.5;
  const SampleResult result = f.run(objective, config, 1);
  for (size_t b = 0; b < 3; ++b) {
    float start[2];
    draw_prior(f.prior, 0, f.streams[b], 0, 1, Purpose::prior, start);
    double z[2] = {static_cast<double>(start[0]), static_cast<double>(start[1])}, momentum[2] = {};
    for (int t = 0; t < 20; ++t) {
      const double u = z[0] - static_cast<double>(f.conditions[2 * b]);
      const double v = z[1] - static_cast<double>(f.conditions[2 * b + 1]);
      const double g[2] = {2 * (3 * u + v) + 0.5 * z[0], 2 * (u + 2 * v) + 0.5 * z[1]};
      const double scale = std::fmin(1.0, 1 / (std::hypot(g[0], g[1]) + 1e-6));
      for (int j = 0; j < 2; ++j) {
        momentum[j] = t == 0 ? scale * g[j] : 0.99 * momentum[j] + scale * g[j];
        z[j] = std::fmax(-1.2, std::fmin(1.2, z[j] - 0.1 * momentum[j]));
      }
    }
    CHECK_NEAR(static_cast<double>(result.latents[2 * b]), z[0], 1e-4);
    CHECK_NEAR(static_cast<double>(result.latents[2 * b + 1]), z[1], 1e-4);
  }
}

TEST(hybrid_without_noise_against_double) {
  Fixture f;
  Quadratic objective;
  SamplerConfig config;
  config.kernel = Transition::hybrid;
  config.steps = 20;
  config.groups = {sgld(0.1, 0, 1, 2)};
  config.fidelity = 1;
  config.prior_weight = 0;
  config.weight_learning_rate = 0.05;
  const SampleResult result = f.run(objective, config, 2);
  const Mixture mixture = f.translator.forward(f.conditions.data(), 3);
  for (size_t b = 0; b < 3; ++b) {
    double mu[4][2], w[4][2], momentum[4][2] = {}, m[4][2] = {}, v[4][2] = {}, z[2] = {}, pi[4][2];
    for (size_t k = 0; k < 4; ++k)
      for (size_t j = 0; j < 2; ++j) {
        mu[k][j] = static_cast<double>(mixture.means[(b * 4 + k) * 2 + j]);
        w[k][j] = static_cast<double>(mixture.logits[b * 4 + k]);
      }
    const auto combine = [&] {
      for (size_t j = 0; j < 2; ++j) {
        double sum = 0;
        for (size_t k = 0; k < 4; ++k) sum += std::exp(w[k][j]);
        z[j] = 0;
        for (size_t k = 0; k < 4; ++k) {
          pi[k][j] = std::exp(w[k][j]) / sum;
          z[j] += pi[k][j] * mu[k][j];
        }
      }
    };
    combine();
    for (int t = 1; t <= 20; ++t) {
      const double x = z[0] - static_cast<double>(f.conditions[2 * b]);
      const double y = z[1] - static_cast<double>(f.conditions[2 * b + 1]);
      const double g[2] = {3 * x + y, x + 2 * y};
      double gm[4][2], gw[4][2], norm_m = 0, norm_w = 0;
      for (size_t k = 0; k < 4; ++k)
        for (size_t j = 0; j < 2; ++j) {
          gm[k][j] = pi[k][j] * g[j];
          gw[k][j] = 0;  // the Jacobian of softmax, in full
          for (size_t l = 0; l < 4; ++l)
            gw[k][j] += g[j] * mu[l][j] * pi[l][j] * ((k == l ? 1.0 : 0.0) - pi[k][j]);
          norm_m += gm[k][j] * gm[k][j];
          norm_w += gw[k][j] * gw[k][j];
        }
      const double scale_m = std::fmin(1.0, 1 / (std::sqrt(norm_m) + 1e-6));
      const double scale_w = std::fmin(1.0, 1 / (std::sqrt(norm_w) + 1e-6));
      for (size_t k = 0; k < 4; ++k)
        for (size_t j = 0; j < 2; ++j) {
          momentum[k][j] = t == 1 ? scale_m * gm[k][j] : 0.99 * momentum[k][j] + scale_m * gm[k][j];
          mu[k][j] = std::fmax(-2.0, std::fmin(2.0, mu[k][j] - 0.1 * momentum[k][j]));
          const double gk = scale_w * gw[k][j];
          m[k][j] = 0.9 * m[k][j] + 0.1 * gk;
          v[k][j] = 0.999 * v[k][j] + 0.001 * gk * gk;
          w[k][j] -= 0.05 * (m[k][j] / (1 - std::pow(0.9, t))) /
                     (std::sqrt(v[k][j] / (1 - std::pow(0.999, t))) + 1e-8);
        }
      combine();
    }
    for (size_t i = 0; i < 2; ++i)
      for (size_t j = 0; j < 2; ++j)
        CHECK_NEAR(static_cast<double>(result.latents[(b * 2 + i) * 2 + j]), z[j], 1e-4);
  }
}

TEST(groups_follow_their_own_rules) {
  // One dimension by momentum SGD, the other by Adam, both without noise; then one of them held.
  Fixture f;
  Quadratic objective;
  SamplerConfig config;
  config.start = Start::prior;
  config.kernel = Transition::langevin;
  config.steps = 20;
  config.prior_weight = 0;
  UpdateGroup adam = sgld(0.05, 0, 0.5, 1.5, 1);
  adam.rule = Rule::adam;
  config.groups = {sgld(0.1, 0, 0.25, 1.2, 1), adam};
  const SampleResult result = f.run(objective, config, 1);
  for (size_t b = 0; b < 3; ++b) {
    float start[2];
    draw_prior(f.prior, 0, f.streams[b], 0, 1, Purpose::prior, start);
    double z[2] = {static_cast<double>(start[0]), static_cast<double>(start[1])}, momentum = 0, m = 0, v = 0;
    for (int t = 1; t <= 20; ++t) {
      const double x = z[0] - static_cast<double>(f.conditions[2 * b]);
      const double y = z[1] - static_cast<double>(f.conditions[2 * b + 1]);
      const double g0 = 3 * x + y, g1 = x + 2 * y;  // each clipped by the norm of its own group
      momentum = (t == 1 ? 0 : 0.99 * momentum) + g0 * std::fmin(1.0, 0.25 / (std::fabs(g0) + 1e-6));
      const double g = g1 * std::fmin(1.0, 0.5 / (std::fabs(g1) + 1e-6));
      m = 0.9 * m + 0.1 * g;
      v = 0.999 * v + 0.001 * g * g;
      const double step =
          0.05 * (m / (1 - std::pow(0.9, t))) / (std::sqrt(v / (1 - std::pow(0.999, t))) + 1e-8);
      z[0] = std::fmax(-1.2, std::fmin(1.2, z[0] - 0.1 * momentum));
      z[1] = std::fmax(-1.5, std::fmin(1.5, z[1] - step));
    }
    CHECK_NEAR(static_cast<double>(result.latents[2 * b]), z[0], 1e-4);
    CHECK_NEAR(static_cast<double>(result.latents[2 * b + 1]), z[1], 1e-4);
  }
  config.groups[1].rule = Rule::fixed;
  for (const Transition kernel : {Transition::langevin, Transition::hybrid}) {
    config.kernel = kernel;
    config.start = kernel == Transition::hybrid ? Start::mode : Start::prior;
    std::vector<float> first;
    const SampleResult held = f.run(objective, config, 2, 0, 0, 3, [&](const SampleProgress& p) {
      if (p.step == 0) first.assign(p.latents(), p.latents() + 12);
    });
    for (size_t i = 0; i < 6; ++i)
      CHECK(held.latents[2 * i] != first[2 * i] && held.latents[2 * i + 1] == first[2 * i + 1]);
  }
  config.groups = {sgld(0.1, 0, 1, 0, 1)};
  CHECK_CODE("ERR_SHAPE_MISMATCH", f.run(objective, config, 1));
}

TEST(groups_draw_numbers_of_their_own) {
  Fixture f;
  Quadratic objective;
  SamplerConfig config;
  config.start = Start::prior;
  config.kernel = Transition::langevin;
  config.steps = 1;
  config.fidelity = 0;
  config.prior_weight = 0;
  config.groups = {sgld(1, 1, 1, 0, 1), sgld(1, 1, 1, 0, 1)};  // along a gradient of 0
  constexpr size_t n = 4000;
  std::vector<float> first;
  const SampleResult moved = f.run(objective, config, n, 0, 0, 1, [&](const SampleProgress& p) {
    if (p.step == 0) first.assign(p.latents(), p.latents() + 2 * n);
  });
  double variance[2] = {}, covariance = 0;
  for (size_t i = 0; i < n; ++i) {
    const double u = static_cast<double>(moved.latents[2 * i] - first[2 * i]),
                 v = static_cast<double>(moved.latents[2 * i + 1] - first[2 * i + 1]);
    variance[0] += u * u / n;
    variance[1] += v * v / n;
    covariance += u * v / n;
  }
  CHECK_NEAR(variance[0], 1, 0.1);
  CHECK_NEAR(variance[1], 1, 0.1);
  CHECK_NEAR(covariance, 0, 0.08);
}

namespace {

/// Mean and covariance of the target that Quadratic has with a standard normal prior, against samples of the
/// first condition.
void check_posterior(const Fixture& f, const SampleResult& result, size_t n, double tolerance) {
  const double p00 = Quadratic::kA[0][0] + 1, p01 = Quadratic::kA[0][1], p11 = Quadratic::kA[1][1] + 1;
  const double det = p00 * p11 - p01 * p01;
  const double s00 = p11 / det, s01 = -p01 / det, s11 = p00 / det;
  const double c0 = static_cast<double>(f.conditions[0]), c1 = static_cast<double>(f.conditions[1]);
  const double a0 = 3 * c0 + c1, a1 = c0 + 2 * c1;
  double mean[2] = {}, cov[3] = {};
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < 2; ++j)
      mean[j] += static_cast<double>(result.latents[2 * i + j]) / static_cast<double>(n);
  for (size_t i = 0; i < n; ++i) {
    const double u = static_cast<double>(result.latents[2 * i]) - mean[0],
                 v = static_cast<double>(result.latents[2 * i + 1]) - mean[1];
    cov[0] += u * u / static_cast<double>(n);
    cov[1] += u * v / static_cast<double>(n);
    cov[2] += v * v / static_cast<double>(n);
  }
  CHECK_NEAR(mean[0], s00 * a0 + s01 * a1, tolerance);
  CHECK_NEAR(mean[1], s01 * a0 + s11 * a1, tolerance);
  CHECK_NEAR(cov[0], s00, tolerance);
  CHECK_NEAR(cov[1], s01, tolerance);
  CHECK_NEAR(cov[2], s11, tolerance);
}

}  // namespace

TEST(rounds_come_closer_to_the_posterior) {
  Fixture f;
  Quadratic objective;
  SamplerConfig config;
  config.kernel = Transition::none;
  config.candidates = 4;
  config.max_candidates = 4;
  config.rounds = 12;
  constexpr size_t n = 20000;
  const SampleResult result = f.run(objective, config, n, 0, 0, 1);
  check_posterior(f, result, n, 0.015);
  CHECK(result.forwards == n * 4 * 12);
  config.rounds = 2;
  config.kernel = Transition::mala;
  config.steps = 3;
  config.candidates = 16;
  config.adapt = Adapt::none;
  std::vector<size_t> steps;
  const SampleResult both = f.run(objective, config, n, 0, 0, 1, [&](const SampleProgress& p) {
    CHECK(p.steps == 6);
    steps.push_back(p.step);
  });
  check_posterior(f, both, n, 0.02);
  CHECK((steps == std::vector<size_t>{0, 1, 2, 3, 4, 5, 6}));
  CHECK(both.gradients == n * 8 && both.trace.size() == 7);
  CHECK(both.acceptance[0] > 0.3f && both.acceptance[0] < 1);
}

TEST(pilots_freeze_the_step_size) {
  Fixture f;
  Quadratic objective;
  SamplerConfig config;
  config.start = Start::prior;
  config.adapt = Adapt::pilot;
  config.step_size = 3;  // far too large
  config.target_accept = 0.57;
  config.pilot_steps = 200;
  config.pilot_chains = 16;
  config.steps = 60;
  const SampleResult result = f.run(objective, config, 400);
  for (size_t b = 0; b < 3; ++b) {
    std::printf("  h %.3f, acceptance %.3f\n", static_cast<double>(result.step_sizes[b]),
                static_cast<double>(result.acceptance[b]));
    CHECK_NEAR(static_cast<double>(result.acceptance[b]), 0.57, 0.1);
    CHECK(result.step_sizes[b] < 1.5f);
    // Alone and with fewer chains: the same pilots, the same step size.
    const SampleResult part = f.run(objective, config, 3, 0, b, 1);
    CHECK(part.step_sizes[0] == result.step_sizes[b]);
    CHECK(same(result.latents, b * 800, part.latents));
  }
  CHECK(result.gradients == 3 * (400 * 61 + 16 * 201));
  check_posterior(f, result, 400, 0.15);
}

TEST(rounds_and_groups_do_not_depend_on_the_split) {
  Fixture f;
  Quadratic objective;
  for (const Transition kernel :
       {Transition::none, Transition::mala, Transition::langevin, Transition::hybrid}) {
    SamplerConfig config;
    config.kernel = kernel;
    config.seed = 8;
    config.rounds = 3;
    config.candidates = 2;
    config.max_candidates = 32;
    config.fidelity = 3;
    config.groups = {sgld(0.1, 0.1, 1, 0, 1), sgld(0.2, 0.1, 1, 0, 1)};
    config.groups[1].rule = Rule::adam;
    const SampleResult whole = f.run(objective, config, 20);
    for (size_t b = 0; b < 3; ++b)
      for (const size_t first : {0u, 3u, 19u}) {
        const SampleResult part =
            f.run(objective, config, std::min<size_t>(20 - first, 3), static_cast<uint32_t>(first), b, 1);
        CHECK(same(whole.latents, (b * 20 + first) * 2, part.latents));
        CHECK(same(whole.energies, b * 20 + first, part.energies));
      }
  }
}

TEST(starts_that_are_given) {
  Fixture f;
  Quadratic objective;
  SamplerConfig config;
  config.start = Start::prior;
  config.kernel = Transition::none;
  const std::vector<float> starts{1, 2, 3, 4};
  SampleRequest request;
  request.conditions = f.conditions.data();
  request.condition_count = 2;
  request.streams = f.streams.data();
  request.starts = starts.data();
  CHECK(sample(objective, nullptr, f.prior, config, request, f.cancel, {}).latents == starts);
}

TEST(divergence_tells_the_energies) {
  Fixture f;
  Quadratic objective;
  objective.broken = [](const float* z) { return std::fabs(z[0]) > 1e4f; };
  SamplerConfig config;
  config.start = Start::prior;
  config.kernel = Transition::langevin;
  config.steps = 100;
  config.groups = {sgld(3, 0, 0, 0)};
  std::vector<float> seen;
  try {
    f.run(objective, config, 2, 0, 1, 1, [&](const SampleProgress& p) {
      seen.push_back(static_cast<float>(
          0.5 * (static_cast<double>(p.energies[0]) + static_cast<double>(p.energies[1]))));
    });
    CHECK(false);
  } catch (const Error& error) {
    CHECK(error.code() == "ERR_DIVERGED");
    CHECK(error.trace().size() == seen.size() + 1 && seen.size() > 2);
    CHECK(std::equal(seen.begin(), seen.end(), error.trace().begin()));
    CHECK(std::isnan(error.trace().back()));
  }
}

TEST(sampling_stops_within_a_step) {
  for (const Transition kernel : {Transition::mala, Transition::langevin, Transition::hybrid}) {
    Fixture f;
    Quadratic objective;
    objective.on_call = [&] {
      if (objective.calls == 7) f.cancel.cancel();
    };
    SamplerConfig config;
    config.kernel = kernel;
    config.start = Start::prior;
    config.steps = 100;
    CHECK_CODE("ERR_ABORTED", f.run(objective, config, 4));
    CHECK(objective.calls == 7);
  }
}

TEST(sampling_nothing_and_bad_requests) {
  Fixture f;
  Quadratic objective;
  SamplerConfig config;
  SampleResult none = f.run(objective, config, 0);
  CHECK(none.latents.empty() && none.energies.empty() && none.ess.size() == 3 && objective.calls == 0);
  none = f.run(objective, config, 3, 0, 0, 0);
  CHECK(none.latents.empty() && none.ess.empty());
  config.steps = 0;
  objective.gradient = false;
  for (const Transition kernel :
       {Transition::none, Transition::mala, Transition::langevin, Transition::hybrid}) {
    config.kernel = kernel;
    CHECK(f.run(objective, config, 2).latents.size() == 12);
  }
  config.steps = 1;
  CHECK_CODE("ERR_NO_GRADIENT", f.run(objective, config, 2));
  objective.gradient = true;
  SamplerConfig bad = config;
  bad.prior_fraction = 1.5;
  CHECK_CODE("ERR_INVALID_ARGUMENT", f.run(objective, bad, 2));
  bad = config;
  bad.step_size = std::nan("");
  CHECK_CODE("ERR_INVALID_ARGUMENT", f.run(objective, bad, 2));
  bad = config;
  bad.candidates = 0;
  CHECK_CODE("ERR_INVALID_ARGUMENT", f.run(objective, bad, 2));
  CHECK_CODE("ERR_INVALID_ARGUMENT", f.run(objective, config, 2, ~0u));
  CHECK_CODE("ERR_OUT_OF_MEMORY", f.run(objective, config, size_t{1} << 31));
  f.conditions[3] = std::nanf("");
  CHECK_CODE("ERR_INVALID_ARGUMENT", f.run(objective, config, 2));
  f.conditions[3] = 0;
  f.prior = standard(3);
  CHECK_CODE("ERR_SHAPE_MISMATCH", f.run(objective, config, 2));
}

TEST(sampler_steps_do_not_allocate) {
  Fixture f;
  Quadratic objective;
  for (const Transition kernel : {Transition::mala, Transition::langevin, Transition::hybrid}) {
    SamplerConfig config;
    config.kernel = kernel;
    config.steps = 30;
    size_t at_ten = 0;
    f.run(objective, config, 2000, 0, 0, 3, [&](const SampleProgress& p) {
      if (p.step == 10) at_ten = test::allocations();
      if (p.step == 29) CHECK(test::allocations() == at_ten);
    });
  }
}

TEST(energies_get_draws_of_their_own_chains) {
  Fixture fixture;
  Quadratic objective;
  SamplerConfig config;
  config.steps = 3;
  config.candidates = 4;
  std::vector<uint32_t> steps;
  objective.on_draws = [&](const EnergyDraws& draws, size_t n) {
    CHECK(draws.rng.key() == Philox(config.seed).key());
    for (size_t i = 0; i < n; ++i) {
      CHECK(draws.chains[i].stream == 4 || draws.chains[i].stream == 9 || draws.chains[i].stream == 2);
      CHECK(draws.chains[i].index >= 7 || config.start == Start::resample);  // pilots begin at 0
    }
    steps.push_back(draws.step);
  };
  const auto run = [&](Start start, Transition kernel) {
    steps.clear();
    config.start = start;
    config.kernel = kernel;
    fixture.run(objective, config, 2, 7);
    return steps;
  };
  // What compares energies keeps a chain's draw; what follows a gradient draws anew, and ends with the kept
  // one.
  for (const uint32_t step : run(Start::resample, Transition::mala)) CHECK(step == 0);
  CHECK((run(Start::translator, Transition::mala) == std::vector<uint32_t>{0, 0, 0, 0}));
  CHECK((run(Start::translator, Transition::none) == std::vector<uint32_t>{0}));
  CHECK((run(Start::translator, Transition::langevin) == std::vector<uint32_t>{1, 2, 3, 0}));
  CHECK((run(Start::mode, Transition::hybrid) == std::vector<uint32_t>{1, 2, 3, 0}));
}
