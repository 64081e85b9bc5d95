#pragma once
#include <napi.h>

namespace tr0n::addon {

/// modelProviders and tryModelDevice of NativeBinding.
void define_provider_functions(Napi::Env env, Napi::Object exports);

}  // namespace tr0n::addon
