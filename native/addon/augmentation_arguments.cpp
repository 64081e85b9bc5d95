#include "addon/augmentation_arguments.h"

#include "addon/arguments.h"
#include "addon/errors.h"
#include "addon/results.h"
#include "bridge/host_block.h"

namespace tr0n::addon {

AugmentationPolicy read_augmentation(const Napi::Value& value, const std::string& name) {
  const Fields fields(value, name);
  constexpr size_t kMostCopies = 65536, kLargestSide = 65536;
  AugmentationPolicy policy;
  policy.copies = fields.size("copies", 1, kMostCopies);
  policy.height = fields.size("height", 1, kLargestSide);
  policy.width = fields.size("width", 1, kLargestSide);
  policy.shift_y = fields.size("shiftY", 0, policy.height);
  policy.shift_x = fields.size("shiftX", 0, policy.width);
  const auto scale = [&](const char* key) {
    const double number = read_number(fields.get(key), fields.path(key));
    if (!(number >= 1e-3 && number <= 1e3))
      throw_invalid(fields.path(key), "a number in [0.001, 1000]", fields.get(key));
    return number;
  };
  policy.min_scale = scale("minScale");
  policy.max_scale = scale("maxScale");
  policy.cutout_height = fields.size("cutoutHeight", 0, policy.height);
  policy.cutout_width = fields.size("cutoutWidth", 0, policy.width);
  return policy;
}

Napi::Value augmentation_parameters(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const AugmentationPolicy policy = read_augmentation(info[0], "policy");
    const Philox rng(read_seed(info[1], "seed"));
    const Chain chain{static_cast<uint32_t>(read_size(info[2], "stream", 0)),
                      static_cast<uint32_t>(read_size(info[3], "index", 0))};
    const auto step = static_cast<uint32_t>(read_size(info[4], "step", 0, (size_t{1} << 24) - 1));
    const size_t count = policy.copies * kAugmentationParameters;
    HostBlock parameters(count * sizeof(float));
    draw_augmentation(policy, rng, chain, step, parameters.floats());
    return to_array(info.Env(), std::move(parameters), count);
  });
}

}  // namespace tr0n::addon
