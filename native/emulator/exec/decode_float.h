#pragma once
#include "emulator/exec/decoder.h"

namespace tr0n::emulator {

/// add, sub, mul, fma, mad, div, min, max, abs and neg where the type is a floating-point one; else false.
bool decode_float_arithmetic(Decoder& decoder, const Statement& statement, Modifiers& modifiers, Inst& inst);

/// Rounding modes of PTX; the integer ones round to an integral value.
enum class Rounding : uint8_t { nearest, zero, down, up, away };

/// Arithmetic in another rounding mode than to nearest (rounding.cpp).
enum class RoundedOp : uint8_t { add, sub, mul, fma, div, rcp, sqrt };
float rounded(RoundedOp op, Rounding mode, float a, float b, float c);
double rounded(RoundedOp op, Rounding mode, double a, double b, double c);
float narrowed(Rounding mode, double x);

}  // namespace tr0n::emulator
