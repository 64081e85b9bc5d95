#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/sampling/sampler.h"
#include "core/training/trainer.h"
#include "cuda/device.h"
#include "cuda/tests/emulator.h"
#include "tests/check.h"

// Training steps and a sampling run on a GPU: as on the CPU, and with every call that they make of the driver
// failing.
using namespace tr0n;
using test::emulator;

namespace {

constexpr size_t kPairs = 20;

/// Trained with a head for y, and sampled without, whose latents are then all of the objective's.
TranslatorConfig shape(size_t auxiliary = 2) {
  TranslatorConfig config;
  config.condition = 3;
  config.hidden = 12;
  config.latent = 2;
  config.components = 3;
  config.auxiliary = auxiliary;
  return config;
}

std::vector<float> numbers(size_t count, uint32_t stream) {
  std::vector<float> values(count);
  Philox(77).normal({stream, 0}, 0, Purpose::init, values.data(), count);
  return values;
}

struct Trained {
  std::vector<float> values;
  double loss = 0;
};

/// Several epochs, the last batch of each smaller, with noise and clipped gradients.
Trained train(Device& device, const std::function<void(Trainer&)>& look = {}) {
  const std::vector<float> z = numbers(kPairs * 2, 1), c = numbers(kPairs * 3, 2), y = numbers(kPairs * 2, 3);
  Translator translator(device, shape(), 5);
  TrainerConfig config;
  config.epochs = 2;
  config.batch = 8;
  config.learning_rate = 1e-2f;
  config.clip = 0.5f;
  config.noise = ConditionNoiseKind::adaptive;
  config.noise_scale = 0.3f;
  Trainer trainer(translator, config, z.data(), c.data(), y.data(), kPairs);
  CancelToken cancel;
  Trained result;
  trainer.run(trainer.steps(), cancel, [&](const TrainerProgress& progress) { result.loss = progress.loss; });
  if (look) look(trainer);
  result.values = translator.values();
  return result;
}

/// E(z, c) = ½‖z − (c₁, c₂)‖².
class Distance : public Objective {
 public:
  size_t latent_size() const override { return 2; }
  size_t condition_size() const override { return 3; }
  bool has_gradient() const override { return true; }
  void energy(const float* z, const float* c, size_t n, const EnergyDraws& draws, float* energies,
              CancelToken& cancel) override {
    std::vector<float> gradients(n * 2);
    evaluate(z, c, n, draws, energies, gradients.data(), cancel);
  }
  void evaluate(const float* z, const float* c, size_t n, const EnergyDraws&, float* energies,
                float* gradients, CancelToken&) override {
    for (size_t i = 0; i < n; ++i) {
      energies[i] = 0;
      for (size_t j = 0; j < 2; ++j) {
        const float difference = z[2 * i + j] - c[3 * i + j];
        energies[i] += 0.5f * difference * difference;
        gradients[2 * i + j] = difference;
      }
    }
  }
};

SampleResult sample_all(Device& device, Start start, Transition kernel) {
  const Translator translator(device, shape(0), 9);
  Distance objective;
  Prior prior;
  prior.dim = 2;
  SamplerConfig config;
  config.start = start;
  config.kernel = kernel;
  config.steps = 3;
  config.candidates = 4;
  config.max_candidates = 8;
  config.min_ess = 100;  // so that candidates are doubled
  config.seed = 4;
  const std::vector<float> conditions = numbers(6, 8);
  const std::vector<uint32_t> streams{3, 1};
  SampleRequest request;
  request.conditions = conditions.data();
  request.condition_count = 2;
  request.streams = streams.data();
  request.count = 3;
  CancelToken cancel;
  return sample(objective, &translator, prior, config, request, cancel, {});
}

double worst(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

/// Runs `work` once undisturbed, and then once for every call that it makes of the driver, with that call
/// failing.
void every_call_fails(const char* what, const std::function<void()>& work) {
  const cuda::DriverApi& api = cuda::driver_api();
  const auto release_context = [&] {
    unsigned flags = 0;
    int active = 0;
    while (api.cuDevicePrimaryCtxGetState(0, &flags, &active) == cuda::CUDA_SUCCESS && active != 0)
      api.cuDevicePrimaryCtxRelease_v2(0);
  };
  emulator()->reset();
  const uint64_t before = emulator()->calls("*");
  work();
  const uint64_t calls = emulator()->calls("*") - before;
  CHECK(emulator()->leaks() == 0 && emulator()->violations() == 0);
  size_t errors = 0;
  for (uint64_t nth = 1; nth <= calls; ++nth) {
    // Of the kinds of failures one after the other: memory, a refused call, the end of the device.
    const cuda::CUresult kinds[] = {cuda::CUDA_ERROR_OUT_OF_MEMORY, cuda::CUDA_ERROR_INVALID_VALUE,
                                    cuda::CUDA_ERROR_UNKNOWN};
    emulator()->fail("*", nth, kinds[nth % 3], 0);
    std::string code;
    try {
      work();
    } catch (const Error& error) {
      code = error.code();
      ++errors;
    } catch (const std::exception& error) {
      code = error.what();
    }
    emulator()->fail_none();
    release_context();
    const std::string where = std::string(" in ") + what + " at call " + std::to_string(nth) + " of " +
                              std::to_string(calls) + " with status " + std::to_string(kinds[nth % 3]);
    if (code != "" && code != "ERR_OUT_OF_MEMORY" && code != "ERR_DEVICE_UNAVAILABLE" &&
        code != "ERR_DEVICE_LOST" && code != "ERR_INTERNAL" && code != "ERR_KERNEL_FAILED")
      test::fail(__FILE__, __LINE__, "\"" + code + "\"" + where);
    if (emulator()->leaks() != 0) test::fail(__FILE__, __LINE__, "a leak" + where);
  }
  CHECK(calls > 100 && errors > calls / 3);
  emulator()->reset();
  work();
  CHECK(emulator()->leaks() == 0 && emulator()->violations() == 0);
}

}  // namespace

TEST(steps_a_training_is_that_of_the_cpu) {
  const Trained expected = train(cpu_device());
  const auto device = cuda::cuda_device(0);
  const Trained got = train(*device);
  CHECK_NEAR(got.loss, expected.loss, 1e-5 * std::fabs(expected.loss));
  CHECK(worst(got.values, expected.values) < 1e-4);
}

TEST(steps_a_sampling_run_is_that_of_the_cpu) {
  const auto device = cuda::cuda_device(0);
  for (const auto& [start, kernel] :
       {std::pair{Start::resample, Transition::mala}, std::pair{Start::mode, Transition::langevin},
        std::pair{Start::translator, Transition::none}, std::pair{Start::translator, Transition::hybrid},
        std::pair{Start::prior, Transition::mala}}) {
    const SampleResult expected = sample_all(cpu_device(), start, kernel),
                       got = sample_all(*device, start, kernel);
    CHECK(worst(got.latents, expected.latents) < 1e-4);
    CHECK(worst(got.energies, expected.energies) < 1e-4);
  }
}

TEST(steps_every_call_of_a_training_fails_once) {
  if (emulator() == nullptr) return;
  const std::vector<float> expected = train(cpu_device()).values;
  every_call_fails("training", [&] {
    const auto device = cuda::cuda_device(0);
    const Trained got = train(*device);
    // A failure that nobody saw must not have changed anything.
    if (!(worst(got.values, expected) < 1e-4)) throw std::runtime_error("wrong numbers");
  });
}

TEST(steps_every_call_of_a_sampling_run_fails_once) {
  if (emulator() == nullptr) return;
  const SampleResult expected = sample_all(cpu_device(), Start::resample, Transition::mala);
  every_call_fails("sampling", [&] {
    const auto device = cuda::cuda_device(0);
    const SampleResult got = sample_all(*device, Start::resample, Transition::mala);
    if (!(worst(got.latents, expected.latents) < 1e-4)) throw std::runtime_error("wrong numbers");
  });
}

TEST(steps_a_training_goes_on_elsewhere_when_its_device_is_lost) {
  if (emulator() == nullptr) return;
  Translator other(cpu_device(), shape(), 1);
  std::string code;
  {
    const auto device = cuda::cuda_device(0);
    // The fourth launch from here on ends the device.
    emulator()->fail("cuLaunchKernel", 4, cuda::CUDA_ERROR_LAUNCH_FAILED, 1);
    try {
      train(*device);
    } catch (const Error& error) {
      code = error.code();
      CHECK(std::string(error.what()).find("CUDA_ERROR_LAUNCH_FAILED") != std::string::npos);
    }
    emulator()->fail_none();
    CHECK(device->context().lost());
  }
  CHECK(code == "ERR_KERNEL_FAILED");
  CHECK(emulator()->leaks() == 0);
  const std::vector<float> c = numbers(3, 1);
  CHECK(other.forward(c.data(), 1).means.size() == 6);
  CHECK(train(*cuda::cuda_device(0)).values.size() == other.parameter_count());
}
