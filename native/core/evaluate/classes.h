#pragma once
#include <cstddef>
#include <cstdint>

#include "base/cancel.h"

namespace tr0n {

/// What a classifier's outputs are: log-probabilities up to a constant of the row, or probabilities up to a
/// factor.
enum class Scores { logits, probabilities };

/// For every row of scores [n, classes], in double: the class y ~ p(y) by a uniform number that depends on
/// the seed and the row's number first + i alone (SplitMix64: Steele, Lea, Flood 2014; upper 53 bits), and
/// the most probable one. Negative probabilities count as 0. drawn may be null.
void draw_classes(const float* scores, size_t n, size_t classes, Scores kind, uint64_t seed, uint64_t first,
                  uint32_t* drawn, uint32_t* likeliest, CancelToken& cancel);

}  // namespace tr0n
