#pragma once
#include <napi.h>

namespace tr0n::addon {

/// NativeBinding.covariance
Napi::Value covariance_job(const Napi::CallbackInfo& info);

}  // namespace tr0n::addon
