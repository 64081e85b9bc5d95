#pragma once
#include <napi.h>

namespace tr0n::addon {

/// NativeBinding.sample
Napi::Value sample_job(const Napi::CallbackInfo& info);

}  // namespace tr0n::addon
