#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/placed_objective.h"
#include "core/prior/prior_elements.h"
#include "core/sampling/sampler.h"
#include "cuda/device.h"
#include "cuda/tests/emulator.h"
#include "tests/check.h"

// Objectives that work in a GPU's memory, as those of models on it do: the samplers' numbers are those of the
// CPU, and of a chain nothing crosses between host and device in a step but its energy.
using namespace tr0n;

namespace {

constexpr size_t kLatent = 6, kCondition = 3;

/// Another device, whose copies are counted.
class CountingDevice final : public Device {
 public:
  explicit CountingDevice(Device& device) : device_(device) {}
  const char* name() const override { return device_.name(); }
  const Kernels& kernels() const override { return device_.kernels(); }
  bool host_memory() const override { return device_.host_memory(); }
  void* allocate(size_t bytes) override { return device_.allocate(bytes); }
  void release(void* memory) noexcept override { device_.release(memory); }
  void upload(void* to, const void* from, size_t bytes) override {
    up += bytes;
    device_.upload(to, from, bytes);
  }
  void download(void* to, const void* from, size_t bytes) override {
    down += bytes;
    device_.download(to, from, bytes);
  }
  void copy(void* to, const void* from, size_t bytes) override { device_.copy(to, from, bytes); }
  void synchronize() override { device_.synchronize(); }
  void* stream() const override { return device_.stream(); }
  size_t up = 0, down = 0;

 private:
  Device& device_;
};

/// E(z, c) = ½ Σ_j a_j (z_j − c_{j mod m})² + ¼ sin(3 z_0), where `device` works; the copies that it needs
/// for that go through `quiet`, so that nobody counts them.
class Bowl final : public Objective {
 public:
  explicit Bowl(Device* device = nullptr, Device* quiet = nullptr) : device_(device), quiet_(quiet) {}
  size_t latent_size() const override { return kLatent; }
  size_t condition_size() const override { return kCondition; }
  bool has_gradient() const override { return true; }
  Device* device() const override { return device_; }
  void energy(const float* z, const float* c, size_t n, const EnergyDraws& draws, float* energies,
              CancelToken& cancel) override {
    evaluate(z, c, n, draws, energies, nullptr, cancel);
  }
  void evaluate(const float* z, const float* c, size_t n, const EnergyDraws&, float* energies,
                float* gradients, CancelToken&) override {
    if (device_ == nullptr) return compute(z, c, n, energies, gradients);
    std::vector<float> at(n * kLatent), conditions(n * kCondition), e(n), g(n * kLatent);
    quiet_->download(at.data(), z, at.size() * sizeof(float));
    quiet_->download(conditions.data(), c, conditions.size() * sizeof(float));
    compute(at.data(), conditions.data(), n, e.data(), gradients == nullptr ? nullptr : g.data());
    quiet_->upload(energies, e.data(), n * sizeof(float));
    if (gradients != nullptr) quiet_->upload(gradients, g.data(), g.size() * sizeof(float));
  }
  float broken_beyond = std::numeric_limits<float>::infinity();  ///< |z_0| from which the energy is NaN

 private:
  void compute(const float* z, const float* c, size_t n, float* energies, float* gradients) const {
    for (size_t i = 0; i < n; ++i) {
      const float* at = z + i * kLatent;
      double energy = 0.25 * std::sin(3 * static_cast<double>(at[0]));
      for (size_t j = 0; j < kLatent; ++j) {
        const double a = 0.5 + 0.25 * static_cast<double>(j);
        const double r = static_cast<double>(at[j]) - static_cast<double>(c[i * kCondition + j % kCondition]);
        energy += 0.5 * a * r * r;
        if (gradients == nullptr) continue;
        const double wave = j == 0 ? 0.75 * std::cos(3 * static_cast<double>(at[0])) : 0;
        gradients[i * kLatent + j] = static_cast<float>(a * r + wave);
      }
      energies[i] = std::fabs(at[0]) > broken_beyond ? std::nanf("") : static_cast<float>(energy);
    }
  }
  Device* device_;
  Device* quiet_;
};

std::vector<float> numbers(size_t count, uint32_t stream) {
  std::vector<float> values(count);
  Philox(78).normal({stream, 0}, 0, Purpose::init, values.data(), count);
  return values;
}

struct Case {
  Start start;
  Transition kernel;
  size_t rounds = 1;
  size_t groups = 1;
};

struct Fixture {
  size_t count = 3, steps = 3;
  PriorValues prior = normal();
  std::function<void(const SampleProgress&)> progress = {};
  double learning_rate = 0.05;

  static PriorValues normal() {
    Prior prior;
    prior.dim = kLatent;
    return {prior, {}};
  }
  static PriorValues mixed() {
    constexpr float inf = std::numeric_limits<float>::infinity();
    Prior prior = normal().view();
    prior.kind = Prior::Kind::elements;
    return {prior,
            {{0.3f, 0.9f, -inf, inf},
             {0, inf, -2, 2},
             {0.25f, 1.3f, -1.75f, 2.25f},
             {0, 1, -inf, inf},
             {0, inf, -3, 1},
             {0, 0.5f, -1.5f, 1.5f}}};
  }

  SampleResult run(Device& device, Objective& objective, const Case& what) const {
    TranslatorConfig shape;
    shape.condition = kCondition;
    shape.hidden = 12;
    shape.latent = kLatent;
    shape.components = 3;
    const Translator translator(device, shape, 9);
    SamplerConfig config;
    config.start = what.start;
    config.kernel = what.kernel;
    config.rounds = what.rounds;
    config.steps = steps;
    config.candidates = 4;
    config.max_candidates = 8;
    config.min_ess = 100;  // so that candidates are doubled
    config.prior_weight = 0.75;
    config.seed = 4;
    for (size_t g = 0; g < what.groups; ++g) {
      config.groups.emplace_back();
      config.groups[g].size = kLatent / what.groups;
      config.groups[g].rule = g % 2 == 0 ? Rule::sgld : Rule::adam;
      config.groups[g].learning_rate = learning_rate;
    }
    const std::vector<float> conditions = numbers(2 * kCondition, 8);
    const std::vector<uint32_t> streams{3, 1};
    SampleRequest request;
    request.conditions = conditions.data();
    request.condition_count = 2;
    request.streams = streams.data();
    request.count = count;
    CancelToken cancel;
    return sample(objective, &translator, prior.view(), config, request, cancel, progress);
  }
};

const Case kCases[] = {{Start::resample, Transition::mala, 2},     {Start::resample, Transition::none, 2},
                       {Start::translator, Transition::mala},      {Start::mode, Transition::langevin},
                       {Start::prior, Transition::langevin, 1, 2}, {Start::translator, Transition::hybrid},
                       {Start::prior, Transition::hybrid, 1, 2},   {Start::prior, Transition::mala},
                       {Start::translator, Transition::none}};

double worst(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    const double difference = std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

bool alike(const SampleResult& a, const SampleResult& b) {
  return worst(a.latents, b.latents) < 1e-4 && worst(a.energies, b.energies) < 1e-4 &&
         worst(a.trace, b.trace) < 1e-4 && worst(a.ess, b.ess) < 1e-3 && a.candidates == b.candidates &&
         worst(a.acceptance, b.acceptance) < 1e-4 && worst(a.step_sizes, b.step_sizes) < 1e-4 &&
         a.forwards == b.forwards && a.gradients == b.gradients;
}

}  // namespace

TEST(placed_samplers_are_those_of_the_cpu_wherever_the_objective_works) {
  const auto gpu = cuda::cuda_device(0);
  Bowl on_host, on_gpu(gpu.get(), gpu.get());
  for (const PriorValues& prior : {Fixture::normal(), Fixture::mixed()})
    for (const Case& what : kCases) {
      Fixture fixture;
      fixture.prior = prior;
      const SampleResult expected = fixture.run(cpu_device(), on_host, what);
      CHECK(alike(fixture.run(*gpu, on_gpu, what), expected));
      CHECK(alike(fixture.run(*gpu, on_host, what), expected));
      CHECK(alike(fixture.run(cpu_device(), on_gpu, what), expected));
    }
  CHECK(test::emulator() == nullptr || test::emulator()->violations() == 0);
}

TEST(placed_a_step_brings_an_energy_of_each_chain_to_the_host_and_nothing_else) {
  const auto gpu = cuda::cuda_device(0);
  for (const Case& what : kCases) {
    if (what.kernel == Transition::none) continue;
    const auto copied = [&](size_t steps, size_t count, bool latents) {
      CountingDevice counting(*gpu);
      Bowl objective(&counting, gpu.get());
      Fixture fixture;
      fixture.count = count;
      fixture.steps = steps;
      if (latents) fixture.progress = [](const SampleProgress& p) { CHECK(std::isfinite(p.latents()[0])); };
      fixture.run(counting, objective, what);
      return std::pair{counting.up, counting.down};
    };
    for (const size_t count : {size_t{1}, size_t{5}}) {
      const size_t chains = 2 * count;
      const auto few = copied(2, count, false), many = copied(7, count, false);
      const size_t steps = 5 * what.rounds;
      CHECK(many.first == few.first);
      // One more where the latents were looked at on the device.
      const size_t flag = what.kernel == Transition::mala ? 0 : 1;
      CHECK(many.second - few.second == steps * (chains + flag) * sizeof(float));
      CHECK(many.second - few.second <= steps * chains * 8);
      const auto told = copied(7, count, true);
      const size_t reports = 7 * what.rounds + 1;
      CHECK(told.second - many.second == reports * chains * kLatent * sizeof(float));
    }
  }
}

TEST(placed_a_run_that_diverges_says_the_same_everywhere) {
  const auto gpu = cuda::cuda_device(0);
  const auto message = [&](Device& device, Bowl& objective, const Case& what, double rate) {
    Fixture fixture;
    fixture.learning_rate = rate;
    fixture.steps = 40;
    try {
      fixture.run(device, objective, what);
    } catch (const Error& error) {
      return error.code() + ": " + error.what() + ", " + std::to_string(error.trace().size()) + " energies";
    }
    return std::string("nothing");
  };
  Bowl on_host, on_gpu(gpu.get(), gpu.get());
  // Latents leave all bounds; energies become NaN at once, and after some steps.
  for (const auto& [kernel, beyond, rate] :
       {std::tuple{Transition::langevin, std::numeric_limits<float>::infinity(), 1e38},
        std::tuple{Transition::hybrid, std::numeric_limits<float>::infinity(), 1e38},
        std::tuple{Transition::langevin, 0.0f, 0.05}, std::tuple{Transition::mala, 0.0f, 0.05},
        std::tuple{Transition::none, 0.0f, 0.05}, std::tuple{Transition::langevin, 1.0f, 0.5}}) {
    on_host.broken_beyond = on_gpu.broken_beyond = beyond;
    const Case what{Start::mode, kernel};
    const std::string expected = message(cpu_device(), on_host, what, rate),
                      got = message(*gpu, on_gpu, what, rate);
    if (expected.find("ERR_DIVERGED") != 0 || got != expected)
      test::fail(__FILE__, __LINE__, got + ", expected " + expected);
  }
}

TEST(placed_objective_copies_where_the_caller_lies_elsewhere) {
  const auto gpu = cuda::cuda_device(0);
  const size_t n = 5;
  const std::vector<float> z = numbers(n * kLatent, 1), c = numbers(n * kCondition, 2);
  const std::vector<Chain> chains(n);
  const EnergyDraws draws{Philox(1), chains.data(), 0};
  CancelToken cancel;
  Bowl on_host, on_gpu(gpu.get(), gpu.get());
  std::vector<float> energies(n), gradients(n * kLatent);
  on_host.evaluate(z.data(), c.data(), n, draws, energies.data(), gradients.data(), cancel);
  for (Objective* objective : {static_cast<Objective*>(&on_host), static_cast<Objective*>(&on_gpu)})
    for (Device* place : {static_cast<Device*>(nullptr), &cpu_device(), static_cast<Device*>(gpu.get())}) {
      PlacedObjective placed(*objective, place);
      CHECK(placed.device() == place && placed.latent_size() == kLatent && placed.has_gradient());
      Device& device = place == nullptr ? cpu_device() : *place;
      Buffer<float> at(device, z.size()), conditions(device, c.size()), e(device, n), again(device, n),
          g(device, gradients.size());
      for (const size_t rows : {n, size_t{2}}) {  // fewer after more
        at.upload(z.data(), rows * kLatent);
        conditions.upload(c.data(), rows * kCondition);
        placed.evaluate(at.data(), conditions.data(), rows, draws, e.data(), g.data(), cancel);
        placed.energy(at.data(), conditions.data(), rows, draws, again.data(), cancel);
        std::vector<float> got(n), twice(n), slopes(n * kLatent);
        e.download(got.data(), rows);
        again.download(twice.data(), rows);
        g.download(slopes.data(), rows * kLatent);
        CHECK(std::equal(got.begin(), got.begin() + static_cast<std::ptrdiff_t>(rows), energies.begin()));
        CHECK(got == twice);
        CHECK(std::equal(slopes.begin(), slopes.begin() + static_cast<std::ptrdiff_t>(rows * kLatent),
                         gradients.begin()));
      }
    }
}
