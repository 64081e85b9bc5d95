#include "bridge/augmentation.h"

#include <algorithm>
#include <cmath>

namespace tr0n {
namespace {

/// Uniform among low … low + count − 1.
double integer(uint32_t bits, double low, size_t count) {
  return low + std::floor(Philox::unit(bits) * static_cast<double>(count));
}

/// A side of n pixels, resized to ⌊r·n⌋ and cropped or padded about its middle back to n: pixel i of the
/// result lies at a·i + b, with half-pixel centres.
void resize_side(size_t n, double r, float& a, float& b) {
  const auto side = static_cast<double>(n);
  const double resized = std::max(1.0, std::floor(r * side));
  const double margin = std::trunc((side - resized) / 2);
  const double step = side / resized;
  a = static_cast<float>(step);
  b = static_cast<float>((0.5 - margin) * step - 0.5);
}

/// Centre of the cut: a rectangle of `size` begins `size`/2 (rounded down) before an offset that is uniform
/// over the side, its end included where the size is even.
float cut_centre(uint32_t bits, size_t n, size_t size) {
  const double offset = integer(bits, 0, n + (1 - size % 2));
  const size_t before = size / 2;
  return static_cast<float>(offset - static_cast<double>(before) + (static_cast<double>(size) - 1) / 2);
}

}  // namespace

void draw_augmentation(const AugmentationPolicy& policy, const Philox& rng, Chain chain, uint32_t step,
                       size_t copy, float* parameters) {
  const auto block = static_cast<uint32_t>(2 * copy);
  const auto first = rng.bits(chain, step, Purpose::augmentation, block);
  const auto second = rng.bits(chain, step, Purpose::augmentation, block + 1);
  const auto shift = [](uint32_t bits, size_t most) {
    return static_cast<float>(integer(bits, -static_cast<double>(most), 2 * most + 1));
  };
  parameters[kBrightness] = static_cast<float>(Philox::unit(first[0]) - 0.5);
  parameters[kSaturation] = static_cast<float>(2 * Philox::unit(first[1]));
  parameters[kContrast] = static_cast<float>(Philox::unit(first[2]) + 0.5);
  parameters[kShiftY] = shift(first[3], policy.shift_y);
  parameters[kShiftX] = shift(second[0], policy.shift_x);
  const double r = policy.min_scale + (policy.max_scale - policy.min_scale) *
                                          rng.uniform(chain, step, Purpose::augmentation_resize);
  resize_side(policy.height, r, parameters[kScaleY], parameters[kOffsetY]);
  resize_side(policy.width, r, parameters[kScaleX], parameters[kOffsetX]);
  parameters[kCutoutY] = cut_centre(second[1], policy.height, policy.cutout_height);
  parameters[kCutoutX] = cut_centre(second[2], policy.width, policy.cutout_width);
}

void draw_augmentation(const AugmentationPolicy& policy, const Philox& rng, Chain chain, uint32_t step,
                       float* parameters) {
  for (size_t copy = 0; copy < policy.copies; ++copy)
    draw_augmentation(policy, rng, chain, step, copy, parameters + copy * kAugmentationParameters);
}

}  // namespace tr0n
