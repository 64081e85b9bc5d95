#pragma once
#include <napi.h>

namespace tr0n::addon {

/// featureStatistics, frechetDistance, meanPairwiseDistance and drawClasses of NativeBinding.
void define_evaluate_functions(Napi::Env env, Napi::Object exports);

}  // namespace tr0n::addon
