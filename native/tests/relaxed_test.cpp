#include "core/training/relaxed_loss.h"

#include <cmath>

#include "core/math/covariance.h"
#include "core/training/trainer.h"
#include "tests/check.h"

using namespace tr0n;

namespace {

std::vector<float> normals(size_t n, uint32_t stream) {
  std::vector<float> x(n);
  Philox(31).normal({stream, 0}, 0, Purpose::init, x.data(), n);
  return x;
}

/// E(z, c) = Σ_j c_j·sin(z_j) + ½·(Σ_j z_j)², whose gradient is known.
class Waves final : public Objective {
 public:
  size_t latent_size() const override { return 3; }
  size_t condition_size() const override { return 3; }
  bool has_gradient() const override { return gradient; }
  void energy(const float* z, const float* c, size_t n, const EnergyDraws&, float* energies,
              CancelToken&) override {
    for (size_t i = 0; i < n; ++i) energies[i] = static_cast<float>(value(z + 3 * i, c + 3 * i));
  }
  void evaluate(const float* z, const float* c, size_t n, const EnergyDraws& draws, float* energies,
                float* gradients, CancelToken& cancel) override {
    energy(z, c, n, draws, energies, cancel);
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 3 * i; j < 3 * i + 3; ++j)
        gradients[j] = c[j] * std::cos(z[j]) + z[3 * i] + z[3 * i + 1] + z[3 * i + 2];
  }
  template <class T>
  static double value(const T* z, const float* c) {
    double energy = 0, sum = 0;
    for (size_t j = 0; j < 3; ++j) {
      energy += static_cast<double>(c[j]) * std::sin(static_cast<double>(z[j]));
      sum += static_cast<double>(z[j]);
    }
    return energy + 0.5 * sum * sum;
  }
  bool gradient = true;
};

constexpr size_t kRows = 5, kComponents = 4;

struct Parts {
  size_t latent;  ///< of the mixture; the auxiliary head gives the rest of the objective's 3
  size_t begin;   ///< where that lies
  std::vector<double> logits, u, log_stds, y;
};

/// Mean energy of relaxed draws in float64, straight from the formula, with the same random numbers.
double reference(const Parts& parts, bool by_component, double bound, double temperature, uint64_t seed,
                 const Chain* chains, uint32_t step, const float* c) {
  const Philox rng(seed);
  const size_t d = parts.latent;
  double total = 0;
  for (size_t i = 0; i < kRows; ++i) {
    double w[kComponents], norm = 0, z[3] = {}, whole[3];
    float noise[3];
    rng.normal(chains[i], step, Purpose::relaxed_normal, noise, d);
    const auto words = rng.bits(chains[i], step, Purpose::relaxed_component, 0);
    for (size_t k = 0; k < kComponents; ++k) {
      const double gumbel = -std::log(-std::log(Philox::unit(words[k])));
      w[k] = std::exp((parts.logits[i * kComponents + k] + gumbel) / temperature);
      norm += w[k];
    }
    for (size_t k = 0; k < kComponents; ++k)
      for (size_t j = 0; j < d; ++j) {
        const double u = parts.u[(i * kComponents + k) * d + j];
        const double std = std::exp(parts.log_stds[by_component ? k * d + j : j]) + 1e-6;
        z[j] += w[k] / norm * ((bound > 0 ? bound * std::tanh(u) : u) + std * static_cast<double>(noise[j]));
      }
    const AuxiliaryPlace place{parts.begin, 3 - d};
    for (size_t j = 0, own = 0, other = 0; j < 3; ++j)
      whole[j] = place.holds(j, 1) ? parts.y[i * place.size + own++] : z[other++];
    total += Waves::value(whole, c + 3 * i);
  }
  return total / static_cast<double>(kRows);
}

std::vector<float> narrowed(const std::vector<double>& x) { return {x.begin(), x.end()}; }
std::vector<double> widened(const std::vector<float>& x) { return {x.begin(), x.end()}; }

}  // namespace

TEST(relaxed_loss_gradients_against_finite_differences) {
  const std::vector<float> c = normals(kRows * 3, 1);
  std::vector<Chain> chains;
  for (uint32_t i = 0; i < kRows; ++i) chains.push_back({7, i * 3});
  Waves waves;
  CancelToken cancel;
  for (const bool by_component : {false, true})
    for (const double bound : {0.0, 1.5})
      for (const auto& [d, begin] : {std::pair<size_t, size_t>{3, 0}, {2, 1}, {1, 0}, {1, 1}}) {
        const double temperature = bound > 0 ? 0.5 : 2.0;
        TranslatorConfig sizes;
        sizes.latent = d;
        sizes.components = kComponents;
        sizes.auxiliary = 3 - d;
        Parts parts{d,
                    begin,
                    widened(normals(kRows * kComponents, 2)),
                    widened(normals(kRows * kComponents * d, 3)),
                    widened(normals(by_component ? kComponents * d : d, 4)),
                    widened(normals(kRows * sizes.auxiliary, 5))};
        const std::vector<float> logits = narrowed(parts.logits), log_stds = narrowed(parts.log_stds),
                                 y = narrowed(parts.y);
        std::vector<float> means;
        for (const double u : parts.u)
          means.push_back(static_cast<float>(bound > 0 ? bound * std::tanh(u) : u));
        RelaxedLoss loss(cpu_device(), sizes, waves, kRows + 2, begin, temperature, 11);
        std::vector<double> energies(kRows);
        std::vector<float> d_logits(logits.size()), d_means(means.size()), d_log_stds(log_stds.size()),
            d_y(y.size(), 0.25f);
        loss.prepare(chains.data(), 2, c.data(), cancel);
        const MixtureView q{kRows,        kComponents,     d,           logits.data(),
                            means.data(), log_stds.data(), by_component};
        loss.evaluate(q, y.data(), static_cast<float>(bound), 1.0 / kRows, energies.data(),
                      {d_logits.data(), d_means.data(), d_log_stds.data(), d_y.data()});
        const auto value = [&] {
          return reference(parts, by_component, bound, temperature, 11, chains.data(), 2, c.data());
        };
        double mean = 0;
        for (const double e : energies) mean += e / kRows;
        CHECK_NEAR(mean, value(), 1e-5);
        const auto check = [&](std::vector<double>& x, const std::vector<float>& got, double before = 0) {
          for (size_t p = 0; p < x.size(); ++p) {
            const double kept = x[p];
            x[p] = kept + 1e-5;
            const double above = value();
            x[p] = kept - 1e-5;
            const double below = value();
            x[p] = kept;
            CHECK_NEAR(static_cast<double>(got[p]) - before, (above - below) / 2e-5, 2e-5);
          }
        };
        check(parts.logits, d_logits);
        check(parts.u, d_means);
        check(parts.log_stds, d_log_stds);
        check(parts.y, d_y, 0.25);
      }
}

TEST(relaxed_training_lowers_the_energy_and_resumes) {
  TranslatorConfig sizes;
  sizes.condition = 3;
  sizes.hidden = 12;
  sizes.latent = 3;
  sizes.components = 3;
  sizes.initial_log_std = -1;
  TrainerConfig config;
  config.epochs = 20;
  config.batch = 32;
  config.learning_rate = 1e-2f;
  config.loss = Loss::relaxed;
  config.temperature = 0.7f;
  config.noise = ConditionNoiseKind::isotropic;
  config.noise_scale = 0.05f;
  config.seed = 3;
  const size_t n = 300;
  const std::vector<float> z = normals(n * 3, 5), c = normals(n * 3, 6);
  Waves waves;
  CancelToken cancel;
  Translator whole(cpu_device(), sizes, 1);
  const double before = Trainer::held_out(whole, config, z.data(), c.data(), nullptr, n, &waves, cancel).loss;
  Trainer trainer(whole, config, z.data(), c.data(), nullptr, n, &waves);
  trainer.run(1000, cancel, {});
  const double after = Trainer::held_out(whole, config, z.data(), c.data(), nullptr, n, &waves, cancel).loss;
  std::printf("  mean energy %.3f before, %.3f after\n", before, after);
  CHECK(after < before - 0.5);
  Translator first(cpu_device(), sizes, 1), second(cpu_device(), sizes, 2);
  Trainer one(first, config, z.data(), c.data(), nullptr, n, &waves);
  one.run(113, cancel, {});
  Trainer two(second, config, z.data(), c.data(), nullptr, n, &waves);
  second.set_values(first.values().data(), first.parameter_count());
  two.set_state(one.state());
  two.run(1000, cancel, {});
  CHECK(second.values() == whole.values());
  CHECK_CODE("ERR_INVALID_ARGUMENT", Trainer(first, config, z.data(), c.data(), nullptr, n));
  waves.gradient = false;
  CHECK_CODE("ERR_NO_GRADIENT", Trainer(first, config, z.data(), c.data(), nullptr, n, &waves));
}

TEST(deterministic_training_regresses) {
  TranslatorConfig sizes;
  sizes.condition = 3;
  sizes.hidden = 16;
  sizes.latent = 2;
  sizes.deterministic = true;
  sizes.depth = 2;
  TrainerConfig config;
  config.epochs = 60;
  config.batch = 50;
  config.learning_rate = 1e-2f;
  const size_t n = 500;
  const std::vector<float> c = normals(n * 3, 1);
  std::vector<float> z;
  for (size_t i = 0; i < n; ++i) {
    z.push_back(c[3 * i] - 0.5f * c[3 * i + 1]);
    z.push_back(std::fabs(c[3 * i + 2]));
  }
  Translator translator(cpu_device(), sizes, 1);
  CancelToken cancel;
  const double before =
      Trainer::held_out(translator, config, z.data(), c.data(), nullptr, n, nullptr, cancel).loss;
  Trainer trainer(translator, config, z.data(), c.data(), nullptr, n);
  trainer.run(10000, cancel, {});
  const double after =
      Trainer::held_out(translator, config, z.data(), c.data(), nullptr, n, nullptr, cancel).loss;
  CHECK(before > 0.3);
  CHECK(after < 0.01);
}

TEST(covariance_against_double) {
  CancelToken cancel;
  for (const auto& [n, m] : {std::pair<size_t, size_t>{2, 1}, {7, 5}, {1025, 33}, {2500, 3}}) {
    std::vector<float> rows = normals(n * m, 1);
    for (size_t i = 0; i < rows.size(); ++i) rows[i] += 100 + 0.5f * rows[i / m * m];
    const std::vector<float> got = covariance(rows.data(), n, m, cancel);
    for (size_t a = 0; a < m; ++a)
      for (size_t b = 0; b < m; ++b) {
        double mean_a = 0, mean_b = 0, sum = 0;
        for (size_t i = 0; i < n; ++i) {
          mean_a += static_cast<double>(rows[i * m + a]) / static_cast<double>(n);
          mean_b += static_cast<double>(rows[i * m + b]) / static_cast<double>(n);
        }
        for (size_t i = 0; i < n; ++i)
          sum += (static_cast<double>(rows[i * m + a]) - mean_a) *
                 (static_cast<double>(rows[i * m + b]) - mean_b);
        CHECK_NEAR(got[a * m + b], sum / static_cast<double>(n - 1), 1e-5);
        CHECK(got[a * m + b] == got[b * m + a]);
      }
  }
  const float one[2] = {1, 2};
  CHECK_CODE("ERR_INVALID_ARGUMENT", covariance(one, 1, 2, cancel));
}
