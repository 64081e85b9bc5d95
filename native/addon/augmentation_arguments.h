#pragma once
#include <napi.h>

#include <string>

#include "bridge/augmentation.h"

namespace tr0n::addon {

/// NativeAugmentation of lib/native/types.
AugmentationPolicy read_augmentation(const Napi::Value& value, const std::string& name);
/// NativeBinding.drawAugmentation
Napi::Value augmentation_parameters(const Napi::CallbackInfo& info);

}  // namespace tr0n::addon
