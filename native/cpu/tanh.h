#pragma once
#include <cstddef>

namespace tr0n {

/// x [n] = bound·tanh(x), within 3e-7 of the exact value relative to it; NaN stays NaN. Several times faster
/// than std::tanh, and an element's value does not depend on its place.
void bounded_tanh(float* x, size_t n, float bound);

}  // namespace tr0n
