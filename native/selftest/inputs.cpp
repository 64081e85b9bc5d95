#include "selftest/inputs.h"

namespace tr0n::selftest {

std::vector<float> normals(size_t n, uint32_t stream, float scale) {
  std::vector<float> x(n);
  Philox(kInputSeed).normal({stream, 0}, 0, Purpose::init, x.data(), n);
  for (float& value : x) value *= scale;
  return x;
}

std::vector<float> uniforms(size_t n, uint32_t stream, float low, float high) {
  std::vector<float> x(n);
  Philox(kInputSeed).uniform({stream, 1}, 0, Purpose::init, x.data(), n);
  for (float& value : x) value = low + (high - low) * value;
  return x;
}

std::vector<uint32_t> integers(size_t n, uint32_t stream, uint32_t below) {
  std::vector<uint32_t> x(n);
  const Philox rng(kInputSeed);
  for (size_t i = 0; i < n; ++i)
    x[i] = rng.bits({stream, 2}, 0, Purpose::init, static_cast<uint32_t>(i))[0] % below;
  return x;
}

std::vector<Chain> chains(size_t n, uint32_t stream) {
  std::vector<Chain> result(n);
  const Philox rng(kInputSeed);
  for (size_t i = 0; i < n; ++i) {
    const auto bits = rng.bits({stream, 3}, 0, Purpose::init, static_cast<uint32_t>(i));
    result[i] = {bits[0], bits[1]};
  }
  return result;
}

}  // namespace tr0n::selftest
