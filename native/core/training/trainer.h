#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/cancel.h"
#include "core/objective.h"
#include "core/training/config.h"
#include "core/translator/translator.h"

namespace tr0n {

struct TrainerProgress {
  size_t step = 0, steps = 0, epoch = 0;
  double loss = 0;           ///< mean over the steps since the last report
  double learning_rate = 0;  ///< of the last step
  double gradient_norm = 0;  ///< of the last step, before clipping
};

/// What held-out pairs say.
struct HeldOut {
  double loss = 0;                ///< mean −log q(z|c) in nats, mean squared error of z, or energy
  std::vector<double> residuals;  ///< [auxiliary], mean (y − ŷ)² of each number; empty without y
};

/// Adam's state and the place in the schedule: with the translator's values all that a resumed run needs.
struct TrainerState {
  uint64_t step = 0;
  std::vector<float> first_moment, second_moment;
};

/// Trains a translator on pairs it does not own. The order of pairs, the labels and the noise of a step are
/// functions of (seed, epoch, pair), so a resumed run equals an uninterrupted one bit for bit.
class Trainer {
 public:
  /// z [n, d], c [n, m], y [n, auxiliary] or null; kept by pointer, must outlive the trainer, as must the
  /// objective, which a relaxed loss needs.
  Trainer(Translator& translator, const TrainerConfig& config, const float* z, const float* c, const float* y,
          size_t n, Objective* objective = nullptr);
  /// Steps of such a training in all. Throws for a configuration that makes no sense; looks at no pair.
  static size_t steps(const TrainerConfig& config, size_t n);
  size_t steps() const;  ///< in all epochs together; the last batch of an epoch may be smaller
  size_t step() const;
  /// Runs at most `count` further steps; `progress` at most every 50 ms and at the end. Throws ERR_DIVERGED,
  /// with the translator as before the failing step, when the loss is not finite.
  void run(size_t count, CancelToken& cancel, const std::function<void(const TrainerProgress&)>& progress);
  TrainerState state() const;
  void set_state(const TrainerState& state);
  /// Mean losses over held-out pairs, with labels, noise and relaxed draws drawn once where they are on. y
  /// [n, auxiliary] may be null.
  static HeldOut held_out(const Translator& translator, const TrainerConfig& config, const float* z,
                          const float* c, const float* y, size_t n, Objective* objective,
                          CancelToken& cancel);
  ~Trainer();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tr0n
