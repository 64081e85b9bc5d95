#pragma once
#include <napi.h>

namespace tr0n::addon {

/// NativeBinding.simplify of lib/native/types.
Napi::Value simplify_job(const Napi::CallbackInfo& info);

}  // namespace tr0n::addon
