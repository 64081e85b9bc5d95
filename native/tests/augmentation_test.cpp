#include "bridge/augmentation.h"

#include <algorithm>
#include <vector>

#include "tests/check.h"

using namespace tr0n;

TEST(augmentation_is_drawn_by_chain_step_and_copy_without_allocating) {
  AugmentationPolicy policy;
  policy.copies = 4;
  policy.height = 9;
  policy.width = 6;
  policy.shift_y = policy.shift_x = 1;
  policy.min_scale = 0.8;
  policy.max_scale = 1.2;
  policy.cutout_height = 5;
  policy.cutout_width = 3;
  const Philox rng(5);
  std::vector<float> all(policy.copies * kAugmentationParameters), one(kAugmentationParameters);
  const size_t before = test::allocations();
  draw_augmentation(policy, rng, {3, 8}, 2, all.data());
  draw_augmentation(policy, rng, {3, 8}, 2, 3, one.data());
  CHECK(test::allocations() == before);
  CHECK(std::equal(one.begin(), one.end(), all.begin() + 3 * kAugmentationParameters));
  // The words of copy 3: its own two blocks.
  const auto words = rng.bits({3, 8}, 2, Purpose::augmentation, 6);
  CHECK_NEAR(static_cast<double>(one[kBrightness]), Philox::unit(words[0]) - 0.5, 1e-7);
  CHECK_NEAR(static_cast<double>(one[kSaturation]), 2 * Philox::unit(words[1]), 1e-6);
}

TEST(augmentation_without_a_range_changes_nothing) {
  AugmentationPolicy policy;
  policy.height = 7;
  policy.width = 1;
  std::vector<float> parameters(kAugmentationParameters);
  for (uint32_t step = 0; step < 50; ++step) {
    draw_augmentation(policy, Philox(1), {0, 0}, step, parameters.data());
    CHECK(parameters[kShiftY] == 0 && parameters[kShiftX] == 0);
    CHECK(parameters[kScaleY] == 1 && parameters[kOffsetY] == 0);
    CHECK(parameters[kScaleX] == 1 && parameters[kOffsetX] == 0);
  }
}
