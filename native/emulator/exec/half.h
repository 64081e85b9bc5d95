#pragma once
#include <string>

#include "emulator/exec/decode_float.h"

namespace tr0n::emulator {

float half_to_float(uint16_t bits);
float bfloat_to_float(uint16_t bits);
/// Rounded once, from the exact value of a double. Overflow goes to infinity, or to the largest number
/// towards zero.
uint16_t half_from(double x, Rounding mode);
uint16_t bfloat_from(double x, Rounding mode);
uint32_t tf32_from(float x, Rounding mode);  ///< low 13 bits zero

Handler half_arithmetic(const std::string& opcode, Type type, Modifiers& modifiers);

}  // namespace tr0n::emulator
