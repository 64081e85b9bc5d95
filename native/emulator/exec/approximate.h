#pragma once
#include "emulator/exec/program.h"

namespace tr0n::emulator {

enum class Approximation : uint8_t { rcp, sqrt, rsqrt, ex2, lg2, sin, cos, tanh };

/// The .approx functions; nullptr for a type that has none. Results are correctly rounded, or nearly, on
/// every machine the same; with config().worst they are off by up to the error that PTX documents.
Handler approximation(Approximation which, Type type, bool ftz);
Handler approximate_division(bool ftz);

}  // namespace tr0n::emulator
