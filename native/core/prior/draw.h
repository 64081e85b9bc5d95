#pragma once
#include <cstddef>
#include <cstdint>

#include "base/rng.h"
#include "device/kernels/prior.h"

namespace tr0n {

/// n latents of the prior, chains (stream, first … first + n − 1), step 0.
void draw_prior(const Prior& prior, uint64_t seed, uint32_t stream, uint32_t first, size_t n, Purpose purpose,
                float* z);

}  // namespace tr0n
