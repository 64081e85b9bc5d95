#pragma once
#include <cstddef>
#include <cstdint>

#include "base/rng.h"

namespace tr0n {

/// How copies of an image [C, height, width] are varied: method.md "Energies", after DiffAugment (Zhao, Liu,
/// Lin, Zhu, Han: "Differentiable augmentation for data-efficient GAN training", NeurIPS 2020).
struct AugmentationPolicy {
  size_t copies = 1;  ///< A
  size_t height = 1, width = 1;
  size_t shift_y = 0, shift_x = 0;             ///< largest translation in pixels
  double min_scale = 1, max_scale = 1;         ///< of the resized image's sides
  size_t cutout_height = 0, cutout_width = 0;  ///< of the rectangle that is cut out
};

/// Parameters of one copy, in the order in which lib/objective/augment.ts reads them.
enum AugmentationParameter : size_t {
  kBrightness,  ///< x + b, b ~ U(−½, ½)
  kSaturation,  ///< times the distance from the mean over channels, U(0, 2)
  kContrast,    ///< times the distance from the image's mean, U(½, 1½)
  kShiftY,      ///< row i comes from row i + t, t uniform in −shift … shift
  kShiftX,
  kScaleY,  ///< after resizing, row i of the result lies at a·i + b in the image, which is −½ … height − ½;
  kOffsetY,  ///< kScaleY is a, kOffsetY is b
  kScaleX,
  kOffsetX,
  kCutoutY,  ///< centre of the rectangle, a multiple of ½
  kCutoutX,
  kAugmentationParameters
};

/// parameters [copies, kAugmentationParameters] of draw number `step` of a chain. The resized size, one for
/// all copies, is ⌊r·side⌋ with r ~ U(min_scale, max_scale).
void draw_augmentation(const AugmentationPolicy& policy, const Philox& rng, Chain chain, uint32_t step,
                       float* parameters);
/// The same for one copy.
void draw_augmentation(const AugmentationPolicy& policy, const Philox& rng, Chain chain, uint32_t step,
                       size_t copy, float* parameters);

}  // namespace tr0n
