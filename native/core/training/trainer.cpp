#include "core/training/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>

#include "base/error.h"
#include "core/training/batches.h"
#include "core/training/relaxed_loss.h"
#include "core/translator/pass.h"

namespace tr0n {
namespace {

constexpr auto kReportInterval = std::chrono::milliseconds(50);
constexpr double kPi = 3.14159265358979323846;
constexpr size_t kStepsInFlight = 32;   // steps enqueued on a GPU before the host looks at what came of them
constexpr uint32_t kHeldOutStream = 1;  // training pairs use stream 0

[[noreturn]] void fail(const std::string& what) { throw Error("ERR_INVALID_ARGUMENT", "training: " + what); }

void check_rows(const char* name, const float* values, size_t n, size_t size) {
  if (values == nullptr) fail(std::string(name) + ": expected values, got none");
  for (size_t i = 0; i < n * size; ++i)
    if (!std::isfinite(values[i]))
      fail(std::string(name) + ": expected finite values, got " + std::to_string(values[i]) + " in pair " +
           std::to_string(i / size));
}

void check_probabilities(const float* c, size_t n, size_t m) {
  for (size_t i = 0; i < n; ++i) {
    double sum = 0;
    for (size_t j = 0; j < m; ++j) {
      if (c[i * m + j] < 0)
        fail("c: labels are drawn from probabilities, got " + std::to_string(c[i * m + j]) + " in pair " +
             std::to_string(i));
      sum += static_cast<double>(c[i * m + j]);
    }
    if (!(sum > 0))
      fail("c: labels are drawn from probabilities, got only zeros in pair " + std::to_string(i));
  }
}

void check_pairs(const TranslatorConfig& translator, const TrainerConfig& config, const float* z,
                 const float* c, size_t n) {
  check_rows("z", z, n, translator.latent);
  check_rows("c", c, n, translator.condition);
  if (config.sample_labels) check_probabilities(c, n, translator.condition);
}

void check_config(const TrainerConfig& config, size_t n) {
  if (n == 0) fail("expected at least one pair, got 0");
  if (n > ~uint32_t{0}) fail("at most 2^32 - 1 pairs, got " + std::to_string(n));
  check_fields(config, "training");
}

void check_objective(const TranslatorConfig& translator, const TrainerConfig& config,
                     const Objective* objective) {
  if (config.loss != Loss::relaxed) return;
  if (objective == nullptr) fail("objective: a relaxed loss needs one, got none");
  if (!objective->has_gradient())
    throw Error("ERR_NO_GRADIENT", "training: a relaxed loss needs ∂E/∂z, and the objective has no gradient");
  if (translator.deterministic)
    fail("a relaxed loss draws from a mixture, and this translator is deterministic");
  const size_t latent = translator.latent + translator.auxiliary;
  if (objective->latent_size() != latent || objective->condition_size() != translator.condition)
    throw Error("ERR_SHAPE_MISMATCH", "training: the objective has latents of " +
                                          std::to_string(objective->latent_size()) + " and conditions of " +
                                          std::to_string(objective->condition_size()) +
                                          " numbers, the translator of " + std::to_string(latent) +
                                          ", y included, and " + std::to_string(translator.condition));
  if (config.auxiliary_begin > translator.latent)
    fail("auxiliary begin: expected at most " + std::to_string(translator.latent) +
         ", so that y fits into the latent, got " + std::to_string(config.auxiliary_begin));
}

const TrainerConfig& checked(const Translator& translator, const TrainerConfig& config, const float* z,
                             const float* c, const float* y, size_t n, const Objective* objective) {
  check_config(config, n);
  check_objective(translator.config(), config, objective);
  check_pairs(translator.config(), config, z, c, n);
  if (translator.config().auxiliary > 0) check_rows("y", y, n, translator.config().auxiliary);
  return config;
}

}  // namespace

struct Trainer::Impl {
  Translator& translator;
  const TrainerConfig config;
  Batches batches;
  TranslatorPass pass;
  std::unique_ptr<RelaxedLoss> relaxed;  ///< null where the loss is on z
  const bool fused;                      ///< whether weight gradients go straight into the update
  Buffer<float> gradients;               ///< these three are placed as the parameters are
  Buffer<float> first_moment, second_moment;
  Buffer<double> loss;
  Mirror<AdamStep> adam;
  Mirror<StepTotals> totals;
  const uint64_t total;
  uint64_t done = 0;
  std::unique_ptr<Recording> recording;  ///< of a step with `recorded_rows` pairs of epoch `recorded_epoch`
  size_t recorded_rows = 0;
  uint64_t recorded_epoch = 0;
  bool records = true;  ///< false once the device has said that it does not

  Impl(Translator& target, const TrainerConfig& settings, const float* z, const float* c, const float* y,
       size_t n, Objective* objective)
      : translator(target),
        config(checked(target, settings, z, c, y, n, objective)),
        batches(target, config, z, c, y, n),
        pass(target, std::min(config.batch, n), TranslatorPass::Purpose::training),
        relaxed(config.loss == Loss::relaxed
                    ? std::make_unique<RelaxedLoss>(target.device(), target.config(), *objective,
                                                    std::min(config.batch, n), config.auxiliary_begin,
                                                    static_cast<double>(config.temperature), config.seed)
                    : nullptr),
        fused(std::min(config.batch, n) <= target.device().kernels().linear_update->most_rows()),
        gradients(target.device(), fused ? 0 : target.placed_count()),
        first_moment(target.device(), target.placed_count()),
        second_moment(target.device(), target.placed_count()),
        loss(target.device(), 1),
        adam(target.device(), 1),
        totals(target.device(), 1),
        total(static_cast<uint64_t>(config.epochs) * batches.per_epoch()) {
    gradients.fill(0);
    first_moment.fill(0);
    second_moment.fill(0);
    records = relaxed == nullptr;  // f∘G is called from the host in the middle of a step
  }

  /// CosineAnnealingLR with T_max = all steps and eta_min = 0, stepped at every step.
  double learning_rate(uint64_t step) const {
    const double phase = static_cast<double>(step) / static_cast<double>(total);
    return static_cast<double>(config.learning_rate) * 0.5 * (1 + std::cos(kPi * phase));
  }

  /// Enqueues a step. What came of it is in `totals`.
  void take_step(CancelToken& cancel) {
    const size_t n = batches.load(done);
    AdamStep& step = *adam.host();
    step = {};
    step.learning_rate = learning_rate(done);
    step.step = done;
    step.clip = static_cast<double>(config.clip);
    adam.push();
    const uint64_t epoch = done / batches.per_epoch();
    if (relaxed) relaxed->prepare(batches.chains(), static_cast<uint32_t>(epoch), batches.given(), cancel);
    if (records && (!recording || recorded_rows != n || recorded_epoch != epoch)) {
      recording = translator.device().record([&] { run(n, epoch); });
      recorded_rows = n;
      recorded_epoch = epoch;
      records = recording != nullptr;
    }
    if (recording)
      recording->replay();
    else
      run(n, epoch);
    ++done;
  }

  void run(size_t n, uint64_t epoch) {
    batches.condition(epoch, n);
    const TranslatorPass::Batch batch{batches.c(), batches.z(), batches.y(), n, relaxed.get()};
    const AdamArrays arrays{translator.data(), first_moment.data(), second_moment.data()};
    if (fused) {
      pass.update(batch, config.alpha, loss.data(), adam.device(), arrays, totals.device());
      return;
    }
    pass.gradients(batch, config.alpha, loss.data(), gradients.data());
    translator.device().kernels().optimise->step(
        {adam.device(), gradients.size(), gradients.data(), arrays, loss.data(), totals.device()});
  }

  /// Waits for the steps since the last call. Nothing has changed since the step that stopped, if one did.
  StepTotals look(uint64_t first) {
    totals.pull();
    const StepTotals seen = *totals.host();
    reset_totals();
    if (seen.stopped == 0) return seen;
    done = first + seen.steps;
    throw Error("ERR_DIVERGED", "training diverged at step " + std::to_string(done + 1) + ": loss " +
                                    std::to_string(seen.loss) + ", gradient norm " +
                                    std::to_string(seen.gradient_norm) + "; a lower learning rate may help");
  }

  void reset_totals() {
    *totals.host() = StepTotals{};
    totals.push();
  }
};

Trainer::Trainer(Translator& translator, const TrainerConfig& config, const float* z, const float* c,
                 const float* y, size_t n, Objective* objective)
    : impl_(new Impl(translator, config, z, c, y, n, objective)) {}

Trainer::~Trainer() = default;

size_t Trainer::steps(const TrainerConfig& config, size_t n) {
  check_config(config, n);
  return config.epochs * ((n + config.batch - 1) / config.batch);
}
size_t Trainer::steps() const { return static_cast<size_t>(impl_->total); }
size_t Trainer::step() const { return static_cast<size_t>(impl_->done); }

void Trainer::run(size_t count, CancelToken& cancel,
                  const std::function<void(const TrainerProgress&)>& progress) {
  using Clock = std::chrono::steady_clock;
  Impl& impl = *impl_;
  const size_t patience = impl.translator.device().host_memory() ? 1 : kStepsInFlight;
  TrainerProgress report;
  report.steps = steps();
  double sum = 0;
  size_t summed = 0;
  uint64_t looked = impl.done;
  const auto look = [&] {
    const StepTotals seen = impl.look(looked);
    sum += seen.loss_sum;
    summed += static_cast<size_t>(seen.steps);
    looked = impl.done;
    report.gradient_norm = seen.gradient_norm;
  };
  const auto send = [&] {
    report.step = step();
    report.loss = summed > 0 ? sum / static_cast<double>(summed) : 0;
    if (report.step > 0) {
      report.epoch = static_cast<size_t>((impl.done - 1) / impl.batches.per_epoch());
      report.learning_rate = impl.learning_rate(impl.done - 1);
    }
    if (progress) progress(report);
    sum = 0;
    summed = 0;
  };
  impl.reset_totals();
  auto last = Clock::now();
  for (size_t i = 0; i < count && impl.done < impl.total; ++i) {
    if (cancel.cancelled()) {
      if (looked < impl.done) look();
      cancel.throw_if_cancelled();
    }
    impl.take_step(cancel);
    const bool more = i + 1 < count && impl.done < impl.total;
    if (more && impl.done - looked < patience) continue;
    look();
    if (more && Clock::now() - last >= kReportInterval) {
      send();
      last = Clock::now();
    }
  }
  send();
}

TrainerState Trainer::state() const {
  TrainerState state;
  state.step = impl_->done;
  const Translator& translator = impl_->translator;
  std::vector<float> placed(translator.placed_count());
  for (auto [from, to] : {std::pair{&impl_->first_moment, &state.first_moment},
                          std::pair{&impl_->second_moment, &state.second_moment}}) {
    from->download(placed.data(), placed.size());
    to->resize(translator.parameter_count());
    collect_parameters(translator.parameters(), placed.data(), to->data());
  }
  return state;
}

void Trainer::set_state(const TrainerState& state) {
  const size_t count = impl_->translator.parameter_count();
  if (state.first_moment.size() != count || state.second_moment.size() != count)
    fail("state: expected moments of " + std::to_string(count) + " elements, got " +
         std::to_string(state.first_moment.size()) + " and " + std::to_string(state.second_moment.size()));
  if (state.step > impl_->total)
    fail("state: expected a step of at most " + std::to_string(impl_->total) + ", got " +
         std::to_string(state.step));
  for (size_t i = 0; i < count; ++i)
    if (!std::isfinite(state.first_moment[i]) || !(state.second_moment[i] >= 0) ||
        !std::isfinite(state.second_moment[i]))
      fail("state: a moment is not finite");
  const std::vector<Parameter>& parameters = impl_->translator.parameters();
  for (auto [from, to] : {std::pair{&state.first_moment, &impl_->first_moment},
                          std::pair{&state.second_moment, &impl_->second_moment}})
    to->upload(place_parameters(parameters, from->data()).data(), to->size());
  impl_->done = state.step;
}

HeldOut Trainer::held_out(const Translator& translator, const TrainerConfig& config, const float* z,
                          const float* c, const float* y, size_t n, Objective* objective,
                          CancelToken& cancel) {
  if (n == 0) fail("expected at least one held-out pair, got 0");
  const TranslatorConfig& sizes = translator.config();
  check_pairs(sizes, config, z, c, n);
  check_objective(sizes, config, objective);
  if (y != nullptr) check_rows("y", y, n, sizes.auxiliary);
  constexpr size_t rows = 1024;
  const size_t m = sizes.condition, d = sizes.latent, capacity = std::min(rows, n);
  ConditionSampler conditions(translator.device(), config, capacity, m);
  Mirror<float> batch(translator.device(), capacity * m);
  Mirror<Chain> chains(translator.device(), capacity);
  Buffer<float> logits(translator.device(), capacity * sizes.components),
      means(translator.device(), logits.size() * d), latents(translator.device(), capacity * d),
      heads(translator.device(), capacity * sizes.auxiliary);
  Buffer<double> errors(translator.device(), capacity);
  std::vector<double> losses(capacity);
  std::vector<float> given(heads.size());
  TranslatorPass pass(translator, capacity, TranslatorPass::Purpose::inference);
  std::unique_ptr<RelaxedLoss> relaxed;
  if (config.loss == Loss::relaxed)
    relaxed = std::make_unique<RelaxedLoss>(translator.device(), sizes, *objective, capacity,
                                            config.auxiliary_begin, static_cast<double>(config.temperature),
                                            config.seed);
  const Kernels& kernels = translator.device().kernels();
  HeldOut result;
  result.residuals.assign(y != nullptr ? sizes.auxiliary : 0, 0.0);
  double sum = 0;
  for (size_t begin = 0; begin < n; begin += capacity) {
    cancel.throw_if_cancelled();
    const size_t count = std::min(capacity, n - begin);
    std::copy_n(c + begin * m, count * m, batch.host());
    for (size_t i = 0; i < count; ++i) chains.host()[i] = {kHeldOutStream, static_cast<uint32_t>(begin + i)};
    batch.push(count * m);
    chains.push(count);
    latents.upload(z + begin * d, count * d);
    conditions.apply(chains.device(), 0, count, batch.device());
    pass.forward(batch.device(), count, logits.data(), means.data(), heads.data());
    const MixtureView q = pass.view(count, logits.data(), means.data());
    double sign = 1;
    if (relaxed) {
      relaxed->prepare(chains.host(), 0, c + begin * m, cancel);
      relaxed->evaluate(q, heads.data(), sizes.bound, 1, errors.data(), {});
    } else if (sizes.deterministic) {
      kernels.loss->squared_error({count, d, means.data(), latents.data(), 1, 0, errors.data(), nullptr});
    } else {
      kernels.mixture->log_density({q, nullptr, latents.data(), count, errors.data()});
      sign = -1;
    }
    errors.download(losses.data(), count);
    for (size_t i = 0; i < count; ++i) sum += sign * losses[i];
    if (y == nullptr) continue;
    heads.download(given.data(), count * sizes.auxiliary);
    for (size_t i = 0; i < count * sizes.auxiliary; ++i) {
      const double error =
          static_cast<double>(y[begin * sizes.auxiliary + i]) - static_cast<double>(given[i]);
      result.residuals[i % sizes.auxiliary] += error * error / static_cast<double>(n);
    }
  }
  result.loss = sum / static_cast<double>(n);
  return result;
}

}  // namespace tr0n
