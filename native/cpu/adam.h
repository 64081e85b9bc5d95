#pragma once
#include <cstddef>

#include "cpu/instruction_set.h"
#include "device/kernels.h"

namespace tr0n {

/// A step's scalars for gradients of this norm.
AdamFactors adam_factors(const AdamStep& step, double norm);

/// Elements begin … end − 1 of the arrays; gradients count from `begin`.
inline void apply_adam(const AdamFactors& factors, size_t begin, size_t end, const float* gradients,
                       const AdamArrays& arrays) {
  instruction_set().adam(factors, end - begin, gradients, arrays.m + begin, arrays.v + begin,
                         arrays.parameters + begin);
}

/// Takes a step's loss and gradient norm into totals, or stops it; whether the step is to be made.
bool take_step(double loss, double norm, StepTotals& totals);

}  // namespace tr0n
