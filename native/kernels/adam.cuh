#pragma once
#include "device/kernels/optimise.h"

// Adam (Kingma & Ba 2015), element by element: the operations of torch.optim.Adam in its order, each rounded,
// so that every architecture gives the same bits. A CPU with fused multiply-add rounds some of them together.
namespace tr0n::cuda {

/// base^exponent by squaring. Its error grows with the exponent, but it is used in 1 − β^t, which it no
/// longer reaches by then; pow() costs many times as much.
__device__ inline double power(double base, uint64_t exponent) {
  double result = 1;
  for (; exponent != 0; exponent >>= 1) {
    if (exponent & 1) result *= base;
    base *= base;
  }
  return result;
}

/// The scalars of a step, in the order of operations of torch.optim.Adam (single tensor): the learning rate
/// is divided by the first bias correction, the second moment's root by the root of the second.
struct AdamFactors {
  float keep1, add1, keep2, add2, step_size, root_correction, epsilon;

  AdamFactors() = default;
  __device__ explicit AdamFactors(const AdamStep& adam) {
    const double beta1 = static_cast<double>(adam.beta1), beta2 = static_cast<double>(adam.beta2);
    keep1 = adam.beta1;
    add1 = static_cast<float>(1 - beta1);
    keep2 = adam.beta2;
    add2 = static_cast<float>(1 - beta2);
    step_size = static_cast<float>(adam.learning_rate / (1 - power(beta1, adam.step + 1)));
    root_correction = static_cast<float>(sqrt(1 - power(beta2, adam.step + 1)));
    epsilon = adam.epsilon;
  }

  /// One element; `gradient` is already multiplied by the clip coefficient.
  __device__ void apply(float gradient, float& m, float& v, float& x) const {
    m = __fadd_rn(__fmul_rn(keep1, m), __fmul_rn(add1, gradient));
    v = __fadd_rn(__fmul_rn(keep2, v), __fmul_rn(__fmul_rn(add2, gradient), gradient));
    const float root = __fadd_rn(__fdiv_rn(__fsqrt_rn(v), root_correction), epsilon);
    x = __fsub_rn(x, __fdiv_rn(__fmul_rn(step_size, m), root));
  }
  __device__ void apply(float4 gradient, float4& m, float4& v, float4& x) const {
    apply(gradient.x, m.x, v.x, x.x);
    apply(gradient.y, m.y, v.y, x.y);
    apply(gradient.z, m.z, v.z, x.z);
    apply(gradient.w, m.w, v.w, x.w);
  }
};

/// clip_coefficient() of device/kernels/optimise.h.
__device__ inline double clip_factor(double norm, double clip) {
  if (clip <= 0) return 1;
  const double coefficient = clip / (norm + 1e-6);
  return coefficient < 1 ? coefficient : 1;
}

/// Whether a step of this loss and gradient norm is made: the same in every block. `stopped` is what totals
/// said when the kernel began; one thread of the grid, `keeper`, keeps the account.
__device__ inline bool take_step(double loss, double norm, uint64_t stopped, bool keeper,
                                 StepTotals* totals) {
  if (stopped != 0) return false;
  const bool made = isfinite(loss) && isfinite(norm);
  if (keeper) {
    totals->loss = loss;
    totals->gradient_norm = norm;
    if (made) {
      totals->loss_sum += loss;
      ++totals->steps;
    } else {
      totals->stopped = 1;
    }
  }
  return made;
}

}  // namespace tr0n::cuda
