#include "core/training/trainer.h"

#include <limits>

#include "base/thread_pool.h"
#include "tests/check.h"
#include "tests/reference.h"

using namespace tr0n;
using tr0n::test::Reference;

namespace {

TranslatorConfig small(size_t auxiliary) {
  TranslatorConfig config;
  config.condition = 3;
  config.hidden = 8;
  config.latent = 4;
  config.components = 3;
  config.auxiliary = auxiliary;
  return config;
}

std::vector<float> normals(size_t n, uint32_t stream) {
  std::vector<float> x(n);
  Philox(23).normal({stream, 0}, 0, Purpose::init, x.data(), n);
  return x;
}

struct Pairs {
  size_t n;
  std::vector<float> z, c, y;
  Pairs(size_t count, size_t auxiliary)
      : n(count), z(normals(count * 4, 1)), c(normals(count * 3, 2)), y(normals(count * auxiliary, 3)) {}
};

}  // namespace

TEST(adam_ten_steps_against_double) {
  const Pairs pairs(6, 2);
  Translator translator(cpu_device(), small(2), 5);
  Reference reference(translator);
  TrainerConfig config;
  config.epochs = 10;
  config.batch = 6;
  config.learning_rate = 1e-2f;
  config.alpha = 0.5f;
  config.clip = 0.7f;
  Trainer trainer(translator, config, pairs.z.data(), pairs.c.data(), pairs.y.data(), 6);
  CHECK(trainer.steps() == 10);
  std::vector<double> m(reference.values.size()), v(m.size());
  CancelToken cancel;
  double worst = 0;
  for (int t = 1; t <= 10; ++t) {
    const double loss = reference.loss(pairs.c.data(), pairs.z.data(), pairs.y.data(), 6, 0.5);
    std::vector<double> g = reference.gradient(pairs.c.data(), pairs.z.data(), pairs.y.data(), 6, 0.5);
    double norm = 0;
    for (const double x : g) norm += x * x;
    norm = std::sqrt(norm);
    const double scale = std::fmin(1.0, 0.7 / (norm + 1e-6));
    const double rate = 1e-2 * 0.5 * (1 + std::cos(3.14159265358979323846 * (t - 1) / 10));
    for (size_t i = 0; i < g.size(); ++i) {
      m[i] = 0.9 * m[i] + 0.1 * scale * g[i];
      v[i] = 0.999 * v[i] + 0.001 * scale * g[i] * scale * g[i];
      reference.values[i] -=
          rate * (m[i] / (1 - std::pow(0.9, t))) / (std::sqrt(v[i] / (1 - std::pow(0.999, t))) + 1e-8);
    }
    TrainerProgress last;
    trainer.run(1, cancel, [&](const TrainerProgress& p) { last = p; });
    CHECK_NEAR(last.loss, loss, 1e-4 * std::fabs(loss));
    CHECK_NEAR(last.gradient_norm, norm, 1e-3 * norm);
    CHECK_NEAR(last.learning_rate, rate, 1e-9);
  }
  const std::vector<float> values = translator.values();
  for (size_t i = 0; i < values.size(); ++i)
    worst = std::fmax(worst, std::fabs(static_cast<double>(values[i]) - reference.values[i]));
  std::printf("  largest parameter error after ten steps %.2g\n", worst);
  CHECK(worst < 1e-4);
}

namespace {

TrainerConfig many_options() {
  TrainerConfig config;
  config.epochs = 3;
  config.batch = 64;
  config.sample_labels = true;
  config.noise = ConditionNoiseKind::covariance;
  config.noise_covariance = {1, 0.5f, 0, 0.5f, 1, 0, 0, 0, 0};  // semi-definite
  config.seed = 77;
  return config;
}

std::vector<float> probabilities(size_t n) {
  std::vector<float> c = normals(n * 3, 4);
  for (float& v : c) v = v * v;
  return c;
}

}  // namespace

TEST(resumed_training_equals_uninterrupted) {
  const Pairs pairs(1000, 0);
  const std::vector<float> c = probabilities(1000);
  const TrainerConfig config = many_options();
  CancelToken cancel;
  ThreadPool& pool = ThreadPool::instance();
  const size_t threads = pool.size();
  std::vector<float> whole;
  double losses[2] = {};
  for (const size_t count : {1u, 2u, 5u}) {
    pool.resize(count);
    Translator translator(cpu_device(), small(0), 5);
    Trainer trainer(translator, config, pairs.z.data(), c.data(), nullptr, 1000);
    CHECK(trainer.steps() == 48);
    trainer.run(1000, cancel, [&](const TrainerProgress& p) { losses[0] = p.loss; });
    CHECK(trainer.step() == 48);
    if (whole.empty()) whole = translator.values();
    CHECK(translator.values() == whole);
  }
  Translator first(cpu_device(), small(0), 5), second(cpu_device(), small(0), 99);
  Trainer one(first, config, pairs.z.data(), c.data(), nullptr, 1000);
  one.run(21, cancel, {});
  Trainer two(second, config, pairs.z.data(), c.data(), nullptr, 1000);
  second.set_values(first.values().data(), first.parameter_count());
  two.set_state(one.state());
  two.run(1000, cancel, {});
  CHECK(second.values() == whole);
  TrainerState bad = one.state();
  bad.first_moment.pop_back();
  CHECK_CODE("ERR_INVALID_ARGUMENT", two.set_state(bad));
  pool.resize(threads);
}

TEST(training_learns_a_conditional_density) {
  // z | y ~ N(±2, 0.5²): a single shared std and a mean per label. Entropy of each: log(0.5·√(2πe)) a
  // dimension.
  const size_t n = 4000;
  std::vector<float> z = normals(n * 4, 8), c(n * 3);
  for (size_t i = 0; i < n; ++i) {
    const size_t label = i % 3;
    c[i * 3 + label] = 1;
    for (size_t j = 0; j < 4; ++j) z[i * 4 + j] = 0.5f * z[i * 4 + j] + (static_cast<float>(label) - 1) * 2;
  }
  TranslatorConfig shape = small(0);
  shape.hidden = 16;
  Translator translator(cpu_device(), shape, 1);
  TrainerConfig config;
  config.epochs = 20;
  config.batch = 64;
  config.learning_rate = 5e-3f;
  config.sample_labels = true;
  CancelToken cancel;
  const double before =
      Trainer::held_out(translator, config, z.data(), c.data(), nullptr, n, nullptr, cancel).loss;
  Trainer trainer(translator, config, z.data(), c.data(), nullptr, n);
  trainer.run(~size_t{0}, cancel, {});
  const double after =
      Trainer::held_out(translator, config, z.data(), c.data(), nullptr, n, nullptr, cancel).loss;
  const double entropy = 4 * (std::log(0.5) + 0.5 * std::log(2 * 3.14159265358979323846) + 0.5);
  std::printf("  held-out NLL %.4f -> %.4f, entropy %.4f\n", before, after, entropy);
  CHECK_NEAR(after, entropy, 0.06);
}

TEST(labels_and_noise_have_their_distributions) {
  const Kernels& kernels = cpu_device().kernels();
  const size_t n = 200'000;
  std::vector<Chain> chains(n);
  for (size_t i = 0; i < n; ++i) chains[i] = {0, static_cast<uint32_t>(i)};
  const Philox rng(2);
  std::vector<float> c(n * 3), out(n * 3), workspace(n * 3);
  for (size_t i = 0; i < n; ++i) {
    c[i * 3] = 0.2f;
    c[i * 3 + 2] = 0.6f;  // normalised by the kernel: 1/4, 0, 3/4
  }
  kernels.condition->labels({n, 3, chains.data(), 1, rng, c.data(), out.data()});
  double counts[3] = {};
  for (size_t i = 0; i < n * 3; ++i) counts[i % 3] += static_cast<double>(out[i]) / static_cast<double>(n);
  CHECK_NEAR(counts[0], 0.25, 4e-3);
  CHECK(counts[1] == 0);
  CHECK_NEAR(counts[2], 0.75, 4e-3);

  const auto covariance = [&](double result[9]) {
    std::fill(result, result + 9, 0.0);
    for (size_t i = 0; i < n; ++i)
      for (size_t a = 0; a < 3; ++a)
        for (size_t b = 0; b < 3; ++b)
          result[a * 3 + b] += static_cast<double>(out[i * 3 + a] - c[i * 3 + a]) *
                               static_cast<double>(out[i * 3 + b] - c[i * 3 + b]) / static_cast<double>(n);
  };
  double measured[9];
  kernels.condition->noise({ConditionNoiseKind::isotropic, 0.5f, nullptr, n, 3, chains.data(), 1, rng,
                            c.data(), workspace.data(), out.data()});
  covariance(measured);
  for (size_t i = 0; i < 9; ++i) CHECK_NEAR(measured[i], i % 4 == 0 ? 0.25 : 0, 5e-3);
  const float factor[9] = {1, 0, 0, 0.5f, 2, 0, -1, 0, 0};
  const double expected[9] = {1, 0.5, -1, 0.5, 4.25, -0.5, -1, -0.5, 1};
  kernels.condition->noise({ConditionNoiseKind::covariance, 0, factor, n, 3, chains.data(), 1, rng, c.data(),
                            workspace.data(), out.data()});
  covariance(measured);
  for (size_t i = 0; i < 9; ++i) CHECK_NEAR(measured[i], expected[i], 5e-2);
  kernels.condition->noise({ConditionNoiseKind::adaptive, 0.5f, nullptr, n, 3, chains.data(), 1, rng,
                            c.data(), workspace.data(), out.data()});
  for (size_t i = 0; i < 100; ++i) {
    double square = 0;
    for (size_t j = i * 3; j < i * 3 + 3; ++j) square += std::pow(static_cast<double>(out[j] - c[j]), 2);
    CHECK_NEAR(std::sqrt(square), 0.5 * std::sqrt(0.4), 1e-5);
  }
}

TEST(training_divergence_restores) {
  Pairs pairs(8, 0);
  Translator translator(cpu_device(), small(0), 5);
  TrainerConfig config;
  config.batch = 8;
  config.epochs = 50;
  config.learning_rate = 1e30f;
  config.clip = 0;
  Trainer trainer(translator, config, pairs.z.data(), pairs.c.data(), nullptr, 8);
  CancelToken cancel;
  std::vector<float> before;
  std::string code;
  for (int step = 0; step < 50 && code.empty(); ++step) {
    before = translator.values();
    code = test::code_of([&] { trainer.run(1, cancel, {}); });
  }
  CHECK(code == "ERR_DIVERGED");
  CHECK(translator.values() == before);
  for (const float v : before) CHECK(std::isfinite(v));
}

TEST(training_bad_input_and_cancel) {
  const Pairs pairs(8, 2);
  Translator plain(cpu_device(), small(0), 5), with_head(cpu_device(), small(2), 5);
  TrainerConfig config;
  const auto make = [&](Translator& t, const TrainerConfig& settings, const float* z, const float* c,
                        const float* y, size_t n) { Trainer trainer(t, settings, z, c, y, n); };
  const float *z = pairs.z.data(), *c = pairs.c.data(), *y = pairs.y.data();
  CHECK_CODE("", make(plain, config, z, c, nullptr, 8));
  CHECK_CODE("ERR_INVALID_ARGUMENT", make(plain, config, z, c, nullptr, 0));
  CHECK_CODE("ERR_INVALID_ARGUMENT", make(with_head, config, z, c, nullptr, 8));
  CHECK_CODE("", make(with_head, config, z, c, y, 8));
  std::vector<float> broken(pairs.z);
  broken[5] = std::numeric_limits<float>::quiet_NaN();
  CHECK_CODE("ERR_INVALID_ARGUMENT", make(plain, config, broken.data(), c, nullptr, 8));
  TrainerConfig labels = config;
  labels.sample_labels = true;  // c has negative entries
  CHECK_CODE("ERR_INVALID_ARGUMENT", make(plain, labels, z, c, nullptr, 8));
  TrainerConfig covariance = config;
  covariance.noise = ConditionNoiseKind::covariance;
  CHECK_CODE("ERR_INVALID_ARGUMENT", make(plain, covariance, z, c, nullptr, 8));
  covariance.noise_covariance = {1, 2, 0, 2, 1, 0, 0, 0, 1};  // indefinite
  CHECK_CODE("ERR_INVALID_ARGUMENT", make(plain, covariance, z, c, nullptr, 8));

  Trainer trainer(plain, config, z, c, nullptr, 8);
  CancelToken cancel;
  trainer.run(2, cancel, {});
  cancel.cancel();
  const std::vector<float> before = plain.values();
  CHECK_CODE("ERR_ABORTED", trainer.run(2, cancel, {}));
  CHECK(trainer.step() == 2 && plain.values() == before);
}

TEST(training_steps_do_not_allocate) {
  const Pairs pairs(1000, 0);
  const std::vector<float> c = probabilities(1000);
  Translator translator(cpu_device(), small(0), 5);
  TrainerConfig config = many_options();
  config.epochs = 20;
  Trainer trainer(translator, config, pairs.z.data(), c.data(), nullptr, 1000);
  CancelToken cancel;
  trainer.run(30, cancel, {});
  const size_t before = test::allocations();
  trainer.run(100, cancel, {});
  CHECK(test::allocations() == before);
}
