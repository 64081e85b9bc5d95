#pragma once
#include <cstdint>

namespace tr0n::cuda {

/// Bytes that copies moved since the last reset. Kernels that reach into page-locked memory are not counted.
struct Traffic {
  uint64_t to_device = 0, to_host = 0, within_device = 0;
  uint64_t peeked = 0,
           poked = 0;  ///< by tr0n_emulator_peek and _poke: a test double's, which no device would move
};

/// The driver's mutex protects it.
inline Traffic& traffic() {
  static Traffic counts;
  return counts;
}

}  // namespace tr0n::cuda
