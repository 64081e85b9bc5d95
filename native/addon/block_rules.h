#pragma once
#include <napi.h>

namespace tr0n::addon {

/// blockRules, learnBlockRules, forgetBlockRules and rowsRun of NativeBinding.
void define_block_rules(Napi::Env env, Napi::Object exports);

}  // namespace tr0n::addon
