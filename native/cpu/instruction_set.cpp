#include "cpu/instruction_set.h"

#include <cstdlib>
#include <string>

#include "base/error.h"

namespace tr0n {
namespace {

const Target& choose() {
  const Target* const all[] = {avx512_target(), avx2_target(), neon_target(), &portable_target()};
  const char* wanted = std::getenv("TR0N_CPU");
  const Target* best = nullptr;
  std::string names;
  for (const Target* target : all) {
    if (target == nullptr) continue;
    if (wanted != nullptr && std::string(wanted) == target->name) return *target;
    if (best == nullptr) best = target;
    names += (names.empty() ? "" : ", ") + std::string(target->name);
  }
  if (wanted != nullptr && *wanted != '\0')
    throw Error("ERR_INVALID_ARGUMENT",
                "TR0N_CPU: expected one of what this processor runs (" + names + "), got \"" + wanted + "\"");
  return *best;
}

}  // namespace

const Target& best_target() {
  static const Target& best = choose();
  return best;
}

}  // namespace tr0n
