#pragma once
#include <napi.h>

namespace tr0n::addon {

/// The functions of NativeBinding that concern the process: ONNX Runtime's path, threads, counters, memory.
void define_process_functions(Napi::Env env, Napi::Object exports);
/// Keeps this library mapped for good. Node unloads an addon with the last worker that used it, while runner
/// threads and ONNX Runtime's environment still point into it.
void pin_library();

}  // namespace tr0n::addon
