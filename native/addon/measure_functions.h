#pragma once
#include <napi.h>

namespace tr0n::addon {

/// The functions of NativeBinding that measure the machine.
void define_measure_functions(Napi::Env env, Napi::Object exports);

}  // namespace tr0n::addon
