#pragma once
#include "kernels/adam.cuh"
#include "kernels/linear_arguments.h"

namespace tr0n::cuda {

/// What the norm of the gradients says to the update.
struct UpdateScalars {
  AdamFactors factors;
  float scale;    ///< gradients are multiplied by it
  unsigned made;  ///< whether the step is made
};
static_assert(sizeof(UpdateScalars) <= kScalarBytes && sizeof(UpdateScalars) % sizeof(unsigned) == 0);

}  // namespace tr0n::cuda
