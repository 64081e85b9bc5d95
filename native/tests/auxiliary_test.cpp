/// Samplers and held-out losses with a translator that has an auxiliary head: y anywhere in the latent.
#include "base/thread_pool.h"
#include "core/sampling/sampler.h"
#include "core/training/trainer.h"
#include "tests/check.h"

using namespace tr0n;

namespace {

/// E(x, c) = ½ (x − c)ᵀ A (x − c) of x ∈ R³, A with 2 on its diagonal and ½ beside it.
class Bowl final : public Objective {
 public:
  size_t latent_size() const override { return 3; }
  size_t condition_size() const override { return 3; }
  bool has_gradient() const override { return true; }
  void energy(const float* x, const float* c, size_t n, const EnergyDraws& draws, float* energies,
              CancelToken& cancel) override {
    std::vector<float> gradients(3 * n);
    evaluate(x, c, n, draws, energies, gradients.data(), cancel);
  }
  void evaluate(const float* x, const float* c, size_t n, const EnergyDraws&, float* energies,
                float* gradients, CancelToken&) override {
    for (size_t i = 0; i < 3 * n; i += 3) {
      const double sum = half_sum(x + i, c + i);
      double energy = 0;
      for (size_t j = i; j < i + 3; ++j) {
        const double u = static_cast<double>(x[j]) - static_cast<double>(c[j]), g = 1.5 * u + sum;
        energy += 0.5 * u * g;
        gradients[j] = static_cast<float>(g);
      }
      energies[i / 3] = static_cast<float>(energy);
    }
  }

 private:
  static double half_sum(const float* x, const float* c) {
    double sum = 0;
    for (size_t j = 0; j < 3; ++j) sum += 0.5 * (static_cast<double>(x[j]) - static_cast<double>(c[j]));
    return sum;
  }
};

struct Fixture {
  explicit Fixture(size_t auxiliary, size_t begin_at = 0, bool deterministic = false)
      : translator(cpu_device(), shape(auxiliary, deterministic), 3), begin(begin_at) {
    prior.dim = 3;
  }
  static TranslatorConfig shape(size_t auxiliary, bool deterministic) {
    TranslatorConfig config;
    config.condition = 3;
    config.hidden = 8;
    config.latent = 3 - auxiliary;
    config.auxiliary = auxiliary;
    config.deterministic = deterministic;
    config.components = deterministic ? 1 : 4;
    return config;
  }
  SampleResult run(const SamplerConfig& config, size_t count, uint32_t first = 0, size_t from = 0,
                   size_t condition_count = 2,
                   const std::function<void(const SampleProgress&)>& progress = {}) {
    Bowl objective;
    SampleRequest request;
    request.conditions = conditions.data() + from * 3;
    request.condition_count = condition_count;
    request.streams = streams.data() + from;
    request.count = count;
    request.first = first;
    request.auxiliary_begin = begin;
    request.auxiliary_stds = stds.empty() ? nullptr : stds.data();
    return sample(objective, &translator, prior, config, request, cancel, progress);
  }

  Translator translator;
  size_t begin;
  Prior prior;
  std::vector<float> conditions{1, -0.5f, 0.25f, -1, 2, 0};
  std::vector<uint32_t> streams{4, 9};
  std::vector<float> stds{0.9f, 0.8f};
  CancelToken cancel;
};

/// λA + I with λ = 1 has the inverse (I − ½/4·1·1ᵀ)/2.5: eigenvalues 4 along (1, 1, 1) and 2.5 across.
void check_posterior(const Fixture& f, const SampleResult& result, size_t n, double tolerance) {
  const auto inverse = [](size_t j, size_t k) {
    const double along = 1.0 / 3 / 4, across = (j == k ? 1.0 : 0.0) - 1.0 / 3;
    return along + across / 2.5;
  };
  for (size_t b = 0; b < 2; ++b) {
    const float *c = f.conditions.data() + 3 * b, *x = result.latents.data() + 3 * n * b;
    double mean[3] = {};
    for (size_t i = 0; i < 3 * n; ++i) mean[i % 3] += static_cast<double>(x[i]) / static_cast<double>(n);
    for (size_t j = 0; j < 3; ++j) {
      double expected = static_cast<double>(c[j]);  // (A + I)⁻¹·A·c = c − (A + I)⁻¹·c
      for (size_t k = 0; k < 3; ++k) expected -= inverse(j, k) * static_cast<double>(c[k]);
      CHECK_NEAR(mean[j], expected, tolerance);
      for (size_t k = 0; k < 3; ++k) {
        double covariance = 0;
        for (size_t i = 0; i < n; ++i)
          covariance += (static_cast<double>(x[3 * i + j]) - mean[j]) *
                        (static_cast<double>(x[3 * i + k]) - mean[k]) / static_cast<double>(n);
        CHECK_NEAR(covariance, inverse(j, k), tolerance);
      }
    }
  }
}

UpdateGroup group(size_t size, Rule rule = Rule::sgld) {
  UpdateGroup result;
  result.size = size;
  result.rule = rule;
  result.noise = 0.05;
  return result;
}

/// z before y, y, z behind it; y by Adam.
std::vector<UpdateGroup> groups_around(size_t begin, size_t size) {
  std::vector<UpdateGroup> groups;
  if (begin > 0) groups.push_back(group(begin));
  groups.push_back(group(size, Rule::adam));
  if (begin + size < 3) groups.push_back(group(3 - begin - size));
  return groups;
}

}  // namespace

TEST(auxiliary_resampling_reaches_the_posterior) {
  for (const auto& [size, begin] : {std::pair<size_t, size_t>{1, 0}, {1, 1}, {1, 2}, {2, 1}})
    for (const double alpha : {0.1, 0.0}) {
      Fixture f(size, begin);
      SamplerConfig config;
      config.kernel = Transition::none;
      config.candidates = config.max_candidates = 300;
      config.prior_fraction = alpha;
      check_posterior(f, f.run(config, 5000), 5000, 0.035);
    }
  Fixture f(2, 0);
  SamplerConfig config;
  config.candidates = 64;
  config.steps = 6;
  check_posterior(f, f.run(config, 5000), 5000, 0.03);
}

TEST(auxiliary_starts_are_the_heads) {
  for (const bool deterministic : {false, true})
    for (const auto& [size, begin] : {std::pair<size_t, size_t>{1, 0}, {1, 1}, {2, 0}, {2, 1}}) {
      Fixture f(size, begin, deterministic);
      const Mixture mixture = f.translator.forward(f.conditions.data(), 2);
      for (const Transition kernel :
           {Transition::none, Transition::mala, Transition::langevin, Transition::hybrid})
        for (const Start start : {Start::translator, Start::mode}) {
          SamplerConfig config;
          config.kernel = kernel;
          config.start = start;
          config.groups = groups_around(begin, size);
          bool seen = false;
          f.run(config, 3, 0, 0, 2, [&](const SampleProgress& p) {
            if (p.step > 0) return;
            seen = true;
            for (size_t i = 0; i < 6; ++i)
              for (size_t j = 0; j < size; ++j)
                CHECK(p.latents()[3 * i + begin + j] == mixture.y[i / 3 * size + j]);
          });
          CHECK(seen);
        }
    }
}

TEST(auxiliary_chains_do_not_depend_on_the_split) {
  ThreadPool& pool = ThreadPool::instance();
  const size_t threads = pool.size();
  Fixture f(2, 1);
  for (const Transition kernel :
       {Transition::none, Transition::mala, Transition::langevin, Transition::hybrid})
    for (const Start start : {Start::resample, Start::translator, Start::mode, Start::prior}) {
      SamplerConfig config;
      config.kernel = kernel;
      config.start = start;
      config.seed = 5;
      config.candidates = 2;
      config.max_candidates = 16;
      config.groups = groups_around(1, 2);
      pool.resize(1);
      const SampleResult whole = f.run(config, 40);
      pool.resize(3);
      CHECK(f.run(config, 40).latents == whole.latents);
      for (size_t b = 0; b < 2; ++b)
        for (const size_t first : {0u, 3u, 38u}) {
          const SampleResult part = f.run(config, 2, static_cast<uint32_t>(first), b, 1);
          CHECK(std::equal(part.latents.begin(), part.latents.end(),
                           whole.latents.begin() + static_cast<std::ptrdiff_t>((b * 40 + first) * 3)));
        }
    }
  pool.resize(threads);
}

TEST(auxiliary_requests_that_do_not_fit) {
  Fixture f(2, 1);
  SamplerConfig config;
  f.begin = 2;
  CHECK_CODE("ERR_INVALID_ARGUMENT", f.run(config, 2));
  f.begin = 1;
  f.stds = {1, 0};
  CHECK_CODE("ERR_INVALID_ARGUMENT", f.run(config, 2));
  f.stds = {};
  CHECK_CODE("ERR_INVALID_ARGUMENT", f.run(config, 2));
  config.start = Start::mode;
  CHECK(f.run(config, 2).latents.size() == 12);
  config.kernel = Transition::hybrid;
  for (const std::vector<UpdateGroup>& groups :
       {std::vector<UpdateGroup>{}, {group(2), group(1)}, {group(3)}, {group(1), group(1), group(1)}}) {
    config.groups = groups;
    const bool fits = groups.size() == 3;
    if (fits)
      CHECK(f.run(config, 2).latents.size() == 12);
    else
      CHECK_CODE("ERR_INVALID_ARGUMENT", f.run(config, 2));
  }
  Bowl objective;
  SampleRequest request;
  const Translator whole(cpu_device(), Fixture::shape(0, false), 1);
  TranslatorConfig larger = Fixture::shape(2, false);
  larger.latent = 2;
  const Translator other(cpu_device(), larger, 1);
  config = {};
  CHECK(sample(objective, &whole, f.prior, config, request, f.cancel, {}).latents.empty());
  CHECK_CODE("ERR_SHAPE_MISMATCH", sample(objective, &other, f.prior, config, request, f.cancel, {}));
}

TEST(auxiliary_residuals_of_held_out_pairs) {
  Fixture f(2, 1);
  constexpr size_t n = 1500;  // two blocks
  std::vector<float> z(n), c(3 * n), y(2 * n);
  const Philox rng(7);
  rng.normal({0, 0}, 0, Purpose::init, z.data(), z.size());
  rng.normal({0, 1}, 0, Purpose::init, c.data(), c.size());
  rng.normal({0, 2}, 0, Purpose::init, y.data(), y.size());
  const TrainerConfig config;
  const HeldOut got =
      Trainer::held_out(f.translator, config, z.data(), c.data(), y.data(), n, nullptr, f.cancel);
  const HeldOut without =
      Trainer::held_out(f.translator, config, z.data(), c.data(), nullptr, n, nullptr, f.cancel);
  CHECK(got.loss == without.loss && without.residuals.empty() && got.residuals.size() == 2);
  const Mixture mixture = f.translator.forward(c.data(), n);
  for (size_t j = 0; j < 2; ++j) {
    double expected = 0;
    for (size_t i = 0; i < n; ++i) {
      const double error = static_cast<double>(y[2 * i + j]) - static_cast<double>(mixture.y[2 * i + j]);
      expected += error * error / static_cast<double>(n);
    }
    CHECK_NEAR(got.residuals[j], expected, 1e-6 * expected);
  }
}
