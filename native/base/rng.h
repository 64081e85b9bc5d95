#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace tr0n {

/// Who draws: the i-th sample of the j-th stream (a condition; training has streams of its own). A chain's
/// numbers depend on nothing else, so no split of the batch can change them.
struct Chain {
  uint32_t stream = 0;
  uint32_t index = 0;
};

/// What a draw is for; keeps draws of one step apart. At most 256.
enum class Purpose : uint32_t {
  prior = 0,
  pair = 1,
  shuffle = 2,
  label = 3,
  condition_noise = 4,
  init = 5,
  candidate_choice = 6,  // prior or translator
  candidate_component = 7,
  candidate_normal = 8,
  candidate_prior = 9,
  resample = 10,  // Gumbel
  langevin_noise = 11,
  proposal = 12,
  accept = 13,
  component = 14,  // mixture draw outside the sampler
  component_normal = 15,
  relaxed_component = 16,  // Gumbel
  relaxed_normal = 17,
  augmentation = 18,         // of one copy of an image
  augmentation_resize = 19,  // of all copies
};

/// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
/// Key = the 64-bit seed; counter = (element / 4, step | purpose << 24, chain.index, chain.stream).
/// `step` is below 2^24.
class Philox {
 public:
  explicit Philox(uint64_t seed) : key_{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)} {}
  std::array<uint32_t, 2> key() const { return key_; }
  static std::array<uint32_t, 4> block(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);
  std::array<uint32_t, 4> bits(Chain chain, uint32_t step, Purpose purpose, uint32_t block) const;
  /// (bits + 0.5) / 2^32, in (0, 1).
  static double unit(uint32_t bits) { return (bits + 0.5) * 0x1p-32; }
  /// unit() rounded to float, below 1.
  static float unit_float(uint32_t bits);
  /// Element 0 of a draw, in double.
  double uniform(Chain chain, uint32_t step, Purpose purpose) const {
    return unit(bits(chain, step, purpose, 0)[0]);
  }
  /// n uniforms in (0, 1): unit() rounded to float below 1.
  void uniform(Chain chain, uint32_t step, Purpose purpose, float* out, size_t n) const;
  /// n standard normals by Box–Muller, two per pair of uniforms, from block `first_block` on.
  void normal(Chain chain, uint32_t step, Purpose purpose, float* out, size_t n,
              uint32_t first_block = 0) const;

 private:
  std::array<uint32_t, 2> key_;
};

}  // namespace tr0n
