#include "emulator/exec/program.h"

namespace tr0n::emulator {

const char* name_of(Class group) {
  constexpr const char* kNames[] = {"fp32",        "fp64",         "fp16",    "integer",     "conversion",
                                    "special",     "move",         "control", "load_global", "store_global",
                                    "load_shared", "store_shared", "local",   "parameter",   "atomic",
                                    "shuffle",     "barrier",      "tensor",  "async_copy",  "other"};
  return group < Class::count ? kNames[static_cast<int>(group)] : "mark";
}

}  // namespace tr0n::emulator
