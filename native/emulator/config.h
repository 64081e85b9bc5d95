#pragma once
#include <cstdint>

namespace tr0n::emulator {

/// What the emulated machine is like; read from the environment when the library is loaded, changed by
/// tr0n_emulator_configure.
struct Config {
  int compute_capability = 90;          ///< TR0N_EMULATOR_SM: 75, 80, 86, 89, 90, 100, 120
  int devices = 1;                      ///< TR0N_EMULATOR_DEVICES
  int driver_version = 13000;           ///< TR0N_EMULATOR_DRIVER_VERSION
  uint64_t memory = uint64_t{8} << 30;  ///< TR0N_EMULATOR_MEMORY, bytes of each device
  int order =
      0;  ///< TR0N_EMULATOR_ORDER: of a launch's blocks; 0: theirs, 1: the reverse, others: random seeds
  int threads = 0;                ///< TR0N_EMULATOR_THREADS; 0: as many as the process may use, at most 8
  bool check_races = true;        ///< TR0N_EMULATOR_RACES=0 switches off
  bool check_initialised = true;  ///< TR0N_EMULATOR_INITIALISED=0 switches off
  bool lazy = true;               ///< TR0N_EMULATOR_LAZY=0: work runs when it is enqueued, not when awaited
  bool worst = false;             ///< TR0N_EMULATOR_WORST=1: approximations are off by their documented bound
  uint64_t block_instructions = uint64_t{2}
                                << 30;  ///< TR0N_EMULATOR_TIMEOUT: warp instructions a block may take
};

Config& config();
/// Sets one value by its name without the prefix, in lower case ("sm", "memory"); false for an unknown name.
bool configure(const char* name, long long value);

}  // namespace tr0n::emulator
