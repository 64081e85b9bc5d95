#pragma once
#include "emulator/exec/decode_float.h"

namespace tr0n::emulator {

/// A cvt instruction.
struct Conversion {
  Type to = Type::none, from = Type::none;
  Rounding rounding = Rounding::nearest;
  bool integral = false;  ///< .rni and its kin: to an integral value
  bool flush = false, saturate = false;

  uint32_t packed() const {
    return static_cast<uint32_t>(to) | static_cast<uint32_t>(from) << 8 |
           static_cast<uint32_t>(rounding) << 16 | (integral ? 1U << 24 : 0) | (flush ? 1U << 25 : 0) |
           (saturate ? 1U << 26 : 0);
  }
  static Conversion unpacked(uint32_t bits) {
    return {static_cast<Type>(bits & 0xFF),
            static_cast<Type>(bits >> 8 & 0xFF),
            static_cast<Rounding>(bits >> 16 & 0xFF),
            (bits >> 24 & 1) != 0,
            (bits >> 25 & 1) != 0,
            (bits >> 26 & 1) != 0};
  }
};

/// One value from the bits of a register to those of a register of `register_bytes`: signed results narrower
/// than it are sign-extended, others zero-extended.
uint64_t convert(const Conversion& conversion, uint64_t bits, unsigned register_bytes);

}  // namespace tr0n::emulator
