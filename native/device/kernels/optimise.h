#pragma once
#include <cstddef>
#include <cstdint>

namespace tr0n {

/// Parameters with Adam's moments of them, all [size].
struct AdamArrays {
  float *parameters = nullptr, *m = nullptr, *v = nullptr;
};

/// Adam's constants of one step (Kingma & Ba 2015, as torch.optim.Adam without weight decay): eps stands
/// outside the square root of the bias-corrected second moment.
struct AdamStep {
  double learning_rate = 1e-3;
  float beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f;
  uint64_t step = 0;  ///< from 0
  double clip = 0;    ///< norm that gradients are clipped to; 0 = off
};

/// What training steps leave behind, in the device's memory, so that the host need not wait for every step.
struct StepTotals {
  double loss_sum = 0;                 ///< of the steps since the host last looked
  double loss = 0, gradient_norm = 0;  ///< of the last step, before clipping; of the one that stopped
  uint64_t steps = 0;                  ///< made since the host last looked
  uint64_t stopped = 0;  ///< 1: a loss or norm was not finite. That step and all after it change nothing
};

/// The coefficient of torch.nn.utils.clip_grad_norm_: gradients are multiplied by it.
inline double clip_coefficient(double norm, double clip) {
  if (clip <= 0) return 1;
  const double coefficient = clip / (norm + 1e-6);
  return coefficient < 1 ? coefficient : 1;
}

/// One step of clipping and Adam from materialised gradients: the norm ‖gradients‖₂ in double by partial
/// sums of a fixed order; *loss and the norm taken into totals, or totals->stopped set where either is not
/// finite; then, unless stopped, Adam in place on `arrays` [count], the gradients multiplied by
/// clip_coefficient(norm, clip) on the way. Moves 8·count, 7 where gradients stay in a cache.
struct Optimise {
  const AdamStep* step = nullptr;
  size_t count = 0;
  const float* gradients = nullptr;
  AdamArrays arrays;
  const double* loss = nullptr;
  StepTotals* totals = nullptr;
};

/// Adam on n independent rows [n, size], each with its own gradient norm, clipped per row. gradients, m, v
/// and x [n, size]. Moves 7·n·size.
struct AdamRows {
  AdamStep adam;
  size_t n = 0, size = 0;
  const float* gradients = nullptr;
  float *m = nullptr, *v = nullptr, *x = nullptr;
};

/// Clipping and Adam. `step` and `totals` are in the device's memory.
class OptimiseKernels {
 public:
  virtual ~OptimiseKernels() = default;
  virtual void step(const Optimise& a) const = 0;
  virtual void rows(const AdamRows& a) const = 0;
};

}  // namespace tr0n
