#pragma once
#include <napi.h>

namespace tr0n::addon {

/// firstNotFinite, copyFinite, columnMoments, splitColumns, rescale, sumOfSquares, makeConditions,
/// equalRowsBefore, drawSheet, pixelsToFloats of NativeBinding: arithmetic over rows that JavaScript would
/// hold its thread for.
void define_row_functions(Napi::Env env, Napi::Object exports);

}  // namespace tr0n::addon
