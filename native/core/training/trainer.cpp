#include "core/training/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>

#include "base/error.h"
#include "core/training/batches.h"
#include "core/training/checks.h"
#include "core/training/relaxed_loss.h"
#include "core/translator/pass.h"

namespace tr0n {
namespace {

constexpr auto kReportInterval = std::chrono::milliseconds(50);
constexpr double kPi = 3.14159265358979323846;
constexpr size_t kStepsInFlight = 32;  // steps enqueued on a GPU before the host looks at what came of them

[[noreturn]] void fail(const std::string& what) { throw Error("ERR_INVALID_ARGUMENT", "training: " + what); }

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
        config(checked_training(target.config(), settings, z, c, y, n, objective)),
        batches(target, config, z, c, y, n),
        pass(target, std::min(config.batch, n), TranslatorPass::Purpose::training),
        relaxed(config.loss == Loss::relaxed
                    ? std::make_unique<RelaxedLoss>(target.device(), target.config(), *objective,
                                                    std::min(config.batch, n), config.auxiliary_begin,
                                                    static_cast<double>(config.temperature), config.seed)
                    : nullptr),
        fused(target.config().rank == 0 &&
              std::min(config.batch, n) <= target.device().kernels().linear_update->most_rows()),
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
  check_training(config, n);
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

}  // namespace tr0n
