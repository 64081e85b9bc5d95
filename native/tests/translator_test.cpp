#include "core/translator/translator.h"

#include "base/thread_pool.h"
#include "tests/check.h"
#include "tests/host_mixture.h"
#include "tests/reference.h"

using namespace tr0n;
using tr0n::test::draw_mixture;
using tr0n::test::mixture_log_density;
using tr0n::test::Reference;

namespace {

TranslatorConfig config_of(size_t condition, size_t hidden, size_t latent, size_t components,
                           size_t auxiliary, float bound) {
  TranslatorConfig config;
  config.condition = condition;
  config.hidden = hidden;
  config.latent = latent;
  config.components = components;
  config.auxiliary = auxiliary;
  config.bound = bound;
  config.initial_log_std = -0.3f;
  return config;
}

std::vector<float> normals(size_t n, uint32_t stream) {
  std::vector<float> x(n);
  Philox(19).normal({stream, 0}, 0, Purpose::init, x.data(), n);
  return x;
}

}  // namespace

TEST(translator_gradients_against_finite_differences) {
  std::vector<TranslatorConfig> configs = {config_of(3, 12, 5, 4, 0, 0), config_of(3, 12, 5, 4, 3, 2),
                                           config_of(2, 7, 1, 1, 0, 0), config_of(5, 13, 17, 5, 6, 1.5f)};
  for (const float bound : {0.0f, 1.5f}) {
    TranslatorConfig deep = config_of(3, 11, 5, 3, 2, bound), point = config_of(3, 11, 5, 1, 3, bound),
                     wide = config_of(3, 11, 5, 3, 0, bound);
    deep.depth = 3;
    point.deterministic = true;
    wide.component_stds = true;
    wide.depth = 2;
    TranslatorConfig coded = config_of(3, 11, 7, 3, 2, bound), coded_wide = config_of(4, 9, 19, 5, 0, bound),
                     coded_point = config_of(3, 11, 6, 1, 0, bound);
    coded.rank = 2;
    coded_wide.rank = 3;
    coded_wide.component_stds = true;
    coded_point.rank = 1;
    coded_point.deterministic = true;
    configs.insert(configs.end(), {deep, point, wide, coded, coded_wide, coded_point});
  }
  for (const TranslatorConfig& config : configs) {
    Translator translator(cpu_device(), config, 7);
    if (config.rank > 0) {  // a basis of zeros hides the gradients of codes
      std::vector<float> values = translator.values();
      const std::vector<float> noise = normals(values.size(), 4);
      for (size_t i = 0; i < values.size(); ++i) values[i] += 0.3f * noise[i];
      translator.set_values(values.data(), values.size());
    }
    const size_t n = 9;
    const std::vector<float> c = normals(n * config.condition, 1), z = normals(n * config.latent, 2),
                             y = normals(n * config.auxiliary, 3);
    LossOptions options;
    options.alpha = 0.7f;
    Reference reference(translator);
    const double alpha = static_cast<double>(options.alpha);
    const double expected = reference.loss(c.data(), z.data(), y.data(), n, alpha);
    const std::vector<double> gradient = reference.gradient(c.data(), z.data(), y.data(), n, alpha);
    std::vector<float> computed(translator.parameter_count());
    const double loss = translator.loss(c.data(), z.data(), y.data(), n, options, computed.data());
    CHECK_NEAR(loss, expected, 1e-6 * std::fabs(expected));
    CHECK(loss == translator.loss(c.data(), z.data(), y.data(), n, options, nullptr));
    double worst = 0;
    for (const Parameter& p : translator.parameters()) {  // error relative to the tensor's norm
      double error = 0, norm = 0;
      for (size_t i = p.offset; i < p.offset + p.size; ++i) {
        error += std::pow(static_cast<double>(computed[i]) - gradient[i], 2);
        norm += gradient[i] * gradient[i];
      }
      if (norm > 1e-12) worst = std::fmax(worst, std::sqrt(error / norm));
      if (!(norm > 1e-12)) CHECK(std::sqrt(error) < 1e-6);
    }
    std::printf("  d %zu K %zu: loss %.9g (float64 %.9g), worst gradient error %.2g\n", config.latent,
                config.components, loss, expected, worst);
    CHECK(worst < 2e-6);
  }
}

TEST(translator_of_a_rank_has_codes_and_a_basis) {
  TranslatorConfig config = config_of(4, 16, 9, 2, 5, 0);
  config.rank = 3;
  const Translator translator(cpu_device(), config, 1);
  const std::vector<Parameter>& parameters = translator.parameters();
  CHECK(parameters[4].name == "z_codes.weight" && parameters[6].name == "z_basis.weight");
  CHECK((parameters[4].shape == std::vector<size_t>{6, 16}));
  CHECK((parameters[6].shape == std::vector<size_t>{9, 3}));
  CHECK(parameters[8].name == "z_mixture_logits.weight" && parameters[11].name == "y_layer.weight");
  const std::vector<float> values = translator.values();
  for (const Mixture& mixture : {translator.forward(normals(8, 1).data(), 2)})
    for (const float mean : mixture.means) CHECK(mean == 0);
  config.rank = 9;
  CHECK_CODE("ERR_INVALID_ARGUMENT", Translator(cpu_device(), config, 1));
}

TEST(translator_names_and_initialisation) {
  const Translator translator(cpu_device(), config_of(4, 16, 3, 2, 5, 0), 1);
  const char* names[] = {"shared1.weight",
                         "shared1.bias",
                         "shared2.weight",
                         "shared2.bias",
                         "z_layer.weight",
                         "z_layer.bias",
                         "z_mixture_logits.weight",
                         "z_mixture_logits.bias",
                         "z_log_stds",
                         "y_layer.weight",
                         "y_layer.bias"};
  size_t i = 0, offset = 0;
  for (const Parameter& p : translator.parameters()) {
    CHECK(p.name == names[i++]);
    CHECK(p.offset == offset);
    offset += p.size;
  }
  CHECK(i == 11 && offset == translator.parameter_count());
  CHECK((translator.parameters()[4].shape == std::vector<size_t>{6, 16}));
  CHECK((translator.parameters()[8].shape == std::vector<size_t>{1, 1, 3}));
  const std::vector<float> values = translator.values();
  for (size_t j = 0; j < 64; ++j) CHECK(std::fabs(values[j]) <= 0.5f);
  CHECK(Translator(cpu_device(), translator.config(), 1).values() == values);
  CHECK(Translator(cpu_device(), translator.config(), 2).values() != values);
  CHECK_CODE("ERR_INVALID_ARGUMENT", Translator(cpu_device(), config_of(0, 1, 1, 1, 0, 0), 0));
  CHECK_CODE("ERR_INVALID_ARGUMENT", Translator(cpu_device(), config_of(1, size_t{1} << 40, 1, 1, 0, 0), 0));
  Translator target(cpu_device(), translator.config(), 3);
  CHECK_CODE("ERR_SHAPE_MISMATCH", target.set_values(values.data(), 3));
}

TEST(translator_rows_do_not_depend_on_the_batch) {
  const TranslatorConfig config = config_of(10, 40, 64, 10, 0, 2);
  const Translator translator(cpu_device(), config, 4);
  const size_t n = 1500;
  const std::vector<float> c = normals(n * 10, 1), z = normals(n * 64, 2);
  ThreadPool& pool = ThreadPool::instance();
  const size_t threads = pool.size();
  pool.resize(1);
  const Mixture whole = translator.forward(c.data(), n);
  std::vector<double> densities(n), part(n);
  translator.log_density(c.data(), z.data(), n, densities.data());
  std::vector<float> gradients(translator.parameter_count()), again(gradients.size());
  const double loss = translator.loss(c.data(), z.data(), nullptr, n, {}, gradients.data());
  for (const size_t count : {2u, 5u}) {
    pool.resize(count);
    CHECK(translator.loss(c.data(), z.data(), nullptr, n, {}, again.data()) == loss);
    CHECK(again == gradients);
    for (const size_t begin : {0u, 3u, 1499u, 700u}) {
      const size_t rows = std::min<size_t>(n - begin, 37);
      const Mixture some = translator.forward(c.data() + begin * 10, rows);
      CHECK(std::equal(some.means.begin(), some.means.end(),
                       whole.means.begin() + static_cast<std::ptrdiff_t>(begin * 640)));
      CHECK(std::equal(some.logits.begin(), some.logits.end(),
                       whole.logits.begin() + static_cast<std::ptrdiff_t>(begin * 10)));
      translator.log_density(c.data() + begin * 10, z.data() + begin * 64, rows, part.data());
      for (size_t i = 0; i < rows; ++i) {
        CHECK(part[i] == densities[begin + i]);
        CHECK_NEAR(mixture_log_density(some, i, z.data() + (begin + i) * 64), part[i], 1e-4);
      }
    }
  }
  pool.resize(threads);
}

TEST(translator_is_finite_for_extreme_parameters) {
  const TranslatorConfig config = config_of(2, 8, 3, 4, 0, 0);
  Translator translator(cpu_device(), config, 4);
  const std::vector<float> c = normals(5 * 2, 1), z = normals(5 * 3, 2);
  const std::vector<float> initial = translator.values();
  const Parameter& log_stds = translator.parameters()[8];
  const Parameter& logits = translator.parameters()[7];
  const Parameter& means = translator.parameters()[5];
  for (const float s : {-3e38f, -200.0f, -20.0f, 50.0f, 100.0f, 1e4f})
    for (const float l : {0.0f, 1e3f, 3e38f})
      for (const float mean : {0.0f, 1e6f}) {
        std::vector<float> values(initial);
        for (size_t j = 0; j < 3; ++j) values[log_stds.offset + j] = s;
        values[logits.offset] = l;
        values[logits.offset + 1] = -l;
        values[means.offset] = mean;
        translator.set_values(values.data(), values.size());
        std::vector<float> gradients(values.size());
        CHECK(std::isfinite(translator.loss(c.data(), z.data(), nullptr, 5, {}, gradients.data())));
        for (const float g : gradients) CHECK(!std::isnan(g));
        const Mixture mixture = translator.forward(c.data(), 5);
        CHECK(std::isfinite(mixture_log_density(mixture, 0, z.data())));
      }
}

TEST(translator_empty_batch) {
  const Translator translator(cpu_device(), config_of(2, 8, 3, 4, 2, 0), 4);
  const Mixture mixture = translator.forward(nullptr, 0);
  CHECK(mixture.n == 0 && mixture.means.empty() && mixture.stds.size() == 3);
  translator.log_density(nullptr, nullptr, 0, nullptr);
  CHECK_CODE("ERR_INVALID_ARGUMENT", translator.loss(nullptr, nullptr, nullptr, 0, {}, nullptr));
}

TEST(mixture_draws_follow_the_density) {
  Mixture mixture;
  mixture.n = 1;
  mixture.components = 3;
  mixture.latent = 2;
  mixture.logits = {0, 1, -1};
  mixture.means = {-2, 0, 1, 3, 4, -1};
  mixture.stds = {0.5f, 2};
  const double shares[3] = {std::exp(0.0), std::exp(1.0), std::exp(-1.0)},
               sum = shares[0] + shares[1] + shares[2];
  double mean[2] = {}, entropy = 0, mean_drawn[2] = {}, counts[3] = {};
  for (size_t k = 0; k < 3; ++k)
    for (size_t j = 0; j < 2; ++j) mean[j] += shares[k] / sum * static_cast<double>(mixture.means[k * 2 + j]);
  const Philox rng(1);
  const uint32_t draws = 100'000;
  for (uint32_t i = 0; i < draws; ++i) {
    float z[2];
    draw_mixture(mixture, 0, rng, {0, i}, 0, z);
    for (size_t j = 0; j < 2; ++j) mean_drawn[j] += static_cast<double>(z[j]) / draws;
    entropy -= mixture_log_density(mixture, 0, z) / draws;
    counts[z[0] < -0.5f ? 0 : z[0] < 2.5f ? 1 : 2] += 1.0 / draws;
  }
  for (size_t j = 0; j < 2; ++j) CHECK_NEAR(mean_drawn[j], mean[j], 0.03);
  for (size_t k = 0; k < 3; ++k) CHECK_NEAR(counts[k], shares[k] / sum, 0.006);
  double integral = 0;  // of −q log q, on a grid
  for (double a = -5; a < 8; a += 0.02)
    for (double b = -12; b < 14; b += 0.05) {
      const float z[2] = {static_cast<float>(a), static_cast<float>(b)};
      const double log_q = mixture_log_density(mixture, 0, z);
      integral -= std::exp(log_q) * log_q * 0.02 * 0.05;
    }
  CHECK_NEAR(entropy, integral, 0.02);
}

TEST(translator_variants_have_their_tensors) {
  TranslatorConfig config = config_of(4, 16, 3, 2, 5, 0);
  config.depth = 2;
  config.component_stds = true;
  const Translator wide(cpu_device(), config, 1);
  CHECK(wide.parameters()[4].name == "shared3.weight");
  CHECK((wide.parameters()[10].shape == std::vector<size_t>{1, 2, 3}));
  const std::vector<float> c = normals(4 * 4, 1);
  const Mixture mixture = wide.forward(c.data(), 4);
  CHECK(mixture.stds.size() == 6);
  config.component_stds = false;
  config.components = 1;
  config.deterministic = true;
  const Translator point(cpu_device(), config, 1);
  for (const Parameter& p : point.parameters())
    CHECK(p.name.find("logits") == std::string::npos && p.name != "z_log_stds");
  const Mixture one = point.forward(c.data(), 4);
  CHECK(one.logits == std::vector<float>(4) && one.stds == std::vector<float>(3));
  float z[3];
  draw_mixture(one, 2, Philox(1), {0, 0}, 0, z);
  CHECK(std::equal(z, z + 3, one.means.begin() + 6));
  double density = 0;
  CHECK_CODE("ERR_INVALID_ARGUMENT", point.log_density(c.data(), z, 1, &density));
  config.components = 2;
  CHECK_CODE("ERR_INVALID_ARGUMENT", Translator(cpu_device(), config, 1));
  config.components = 1;
  config.depth = 0;
  CHECK_CODE("ERR_INVALID_ARGUMENT", Translator(cpu_device(), config, 1));
}

TEST(component_stds_draw_and_weigh_alike) {
  TranslatorConfig config = config_of(3, 9, 3, 3, 0, 0);
  config.component_stds = true;
  Translator translator(cpu_device(), config, 4);
  std::vector<float> values = translator.values();
  const Parameter& log_stds = translator.parameters()[8];
  CHECK(log_stds.name == "z_log_stds");
  for (size_t j = 0; j < log_stds.size; ++j) values[log_stds.offset + j] = 0.4f * static_cast<float>(j) - 2;
  translator.set_values(values.data(), values.size());
  const std::vector<float> c = normals(3, 1), z = normals(3 * 7, 2);
  const Mixture mixture = translator.forward(c.data(), 1);
  std::vector<double> densities(7);
  for (size_t i = 0; i < 7; ++i) {
    translator.log_density(c.data(), z.data() + 3 * i, 1, &densities[i]);
    double total = 0, norm = 0;
    for (size_t k = 0; k < 3; ++k) {
      double p = std::exp(static_cast<double>(mixture.logits[k]));
      norm += p;
      for (size_t j = 0; j < 3; ++j) {
        const double std = std::exp(0.4 * static_cast<double>(3 * k + j) - 2) + 1e-6;
        const double u =
            (static_cast<double>(z[3 * i + j]) - static_cast<double>(mixture.means[3 * k + j])) / std;
        p *= std::exp(-0.5 * u * u) / (std * std::sqrt(2 * 3.14159265358979323846));
      }
      total += p;
    }
    CHECK_NEAR(densities[i], std::log(total / norm), 1e-5 * (1 + std::fabs(densities[i])));
    CHECK_NEAR(mixture_log_density(mixture, 0, z.data() + 3 * i), densities[i], 1e-4);
  }
  // E_q[p/q] = 1 for a p whose mass q covers: draws and density are of the same q.
  double ratio = 0;
  constexpr uint32_t draws = 200000;
  for (uint32_t i = 0; i < draws; ++i) {
    float x[3];
    draw_mixture(mixture, 0, Philox(3), {0, i}, 0, x);
    double log_p = -1.5 * std::log(2 * 3.14159265358979323846);
    for (size_t j = 0; j < 3; ++j)
      log_p -= 0.5 * std::pow(static_cast<double>(x[j]) - static_cast<double>(mixture.means[6 + j]), 2);
    ratio += std::exp(log_p - mixture_log_density(mixture, 0, x)) / draws;
  }
  CHECK_NEAR(ratio, 1, 0.02);
}

TEST(candidates_of_component_stds_are_of_the_same_mixture) {
  const size_t components = 3, d = 5, n = 40;
  std::vector<float> log_stds = normals(components * d, 1);
  const std::vector<float> logits = normals(2 * components, 2), means = normals(2 * components * d, 3),
                           energies(n);
  const MixtureView q{2, components, d, logits.data(), means.data(), log_stds.data(), true};
  std::vector<uint32_t> rows, steps(n, 4);
  std::vector<Chain> chains;
  for (uint32_t i = 0; i < n; ++i) {
    rows.push_back(i % 2);
    chains.push_back({1, i});
  }
  const Kernels& kernels = cpu_device().kernels();
  const Philox rng(8);
  Prior prior;
  prior.dim = d;
  std::vector<float> drawn(n * d), candidates(n * d);
  kernels.mixture->draw({q, rows.data(), chains.data(), n, 4, Purpose::candidate_component,
                         Purpose::candidate_normal, rng, drawn.data()});
  kernels.resample->candidates(
      {q, prior, 0, rows.data(), chains.data(), steps.data(), n, rng, candidates.data()});
  CHECK(candidates == drawn);
  std::vector<double> densities(n), weights(n);
  kernels.mixture->log_density({q, rows.data(), drawn.data(), n, densities.data()});
  kernels.resample->weights(
      {q, prior, 0, 1, 1, rows.data(), n, drawn.data(), energies.data(), weights.data()});
  for (size_t i = 0; i < n; ++i)
    CHECK_NEAR(weights[i], prior.log_density(drawn.data() + i * d) - densities[i], 1e-12);
  // All alike is as if they were shared.
  for (size_t j = d; j < log_stds.size(); ++j) log_stds[j] = log_stds[j % d];
  const MixtureView shared{2, components, d, logits.data(), means.data(), log_stds.data(), false};
  std::vector<double> expected(n);
  kernels.mixture->log_density({q, rows.data(), drawn.data(), n, densities.data()});
  kernels.mixture->log_density({shared, rows.data(), drawn.data(), n, expected.data()});
  for (size_t i = 0; i < n; ++i) CHECK_NEAR(densities[i], expected[i], 1e-12 * (1 + std::fabs(expected[i])));
}
