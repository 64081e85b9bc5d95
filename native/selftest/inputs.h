#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/rng.h"

/// Inputs that are the same in every run. `stream` keeps those of one case apart.
namespace tr0n::selftest {

constexpr uint64_t kInputSeed = 20240613;

std::vector<float> normals(size_t n, uint32_t stream, float scale = 1.0f);
std::vector<float> uniforms(size_t n, uint32_t stream, float low = 0.0f, float high = 1.0f);
/// Integers in [0, below).
std::vector<uint32_t> integers(size_t n, uint32_t stream, uint32_t below);
/// n chains that share neither stream nor index in a regular way.
std::vector<Chain> chains(size_t n, uint32_t stream);

}  // namespace tr0n::selftest
