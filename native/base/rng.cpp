#include "base/rng.h"

#include <cmath>

namespace tr0n {
namespace {

constexpr uint32_t kMultiplier0 = 0xD2511F53u, kMultiplier1 = 0xCD9E8D57u;
constexpr uint32_t kWeyl0 = 0x9E3779B9u, kWeyl1 = 0xBB67AE85u;  // golden ratio, sqrt(3) - 1

/// Two independent standard normals out of two words.
void box_muller(uint32_t radius_bits, uint32_t angle_bits, float out[2]) {
  constexpr float two_pi = 6.283185307179586f;
  const float radius = std::sqrt(-2.0f * std::log(Philox::unit_float(radius_bits)));
  const float angle = two_pi * Philox::unit_float(angle_bits);
  out[0] = radius * std::cos(angle);
  out[1] = radius * std::sin(angle);
}

}  // namespace

float Philox::unit_float(uint32_t bits) {
  const float u = static_cast<float>(unit(bits));
  return u < 1.0f ? u : 0x1.fffffep-1f;  // the last 128 values of bits round up to 1
}

std::array<uint32_t, 4> Philox::block(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = static_cast<uint64_t>(kMultiplier0) * counter[0];
    const uint64_t product1 = static_cast<uint64_t>(kMultiplier1) * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(product0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

std::array<uint32_t, 4> Philox::bits(Chain chain, uint32_t step, Purpose purpose, uint32_t index) const {
  return block({index, step | static_cast<uint32_t>(purpose) << 24, chain.index, chain.stream}, key_);
}

void Philox::uniform(Chain chain, uint32_t step, Purpose purpose, float* out, size_t n) const {
  for (size_t i = 0; i < n; i += 4) {
    const auto words = bits(chain, step, purpose, static_cast<uint32_t>(i / 4));
    for (size_t j = 0; j < 4 && i + j < n; ++j) out[i + j] = unit_float(words[j]);
  }
}

void Philox::normal(Chain chain, uint32_t step, Purpose purpose, float* out, size_t n,
                    uint32_t first_block) const {
  for (size_t i = 0; i < n; i += 4) {
    const auto words = bits(chain, step, purpose, first_block + static_cast<uint32_t>(i / 4));
    float normals[4];
    box_muller(words[0], words[1], normals);
    box_muller(words[2], words[3], normals + 2);
    for (size_t j = 0; j < 4 && i + j < n; ++j) out[i + j] = normals[j];
  }
}

}  // namespace tr0n
