#include "cpu/instruction_set.h"

#include <cstdlib>
#include <string>

#include "base/error.h"

namespace tr0n {
namespace {

const InstructionSet& choose() {
  const InstructionSet* const all[] = {avx512_instructions(), avx2_instructions(), neon_instructions(),
                                       &portable_instructions()};
  const char* wanted = std::getenv("TR0N_CPU");
  const InstructionSet* best = nullptr;
  std::string names;
  for (const InstructionSet* set : all) {
    if (set == nullptr) continue;
    if (wanted != nullptr && std::string(wanted) == set->name) return *set;
    if (best == nullptr) best = set;
    names += (names.empty() ? "" : ", ") + std::string(set->name);
  }
  if (wanted != nullptr && *wanted != '\0')
    throw Error("ERR_INVALID_ARGUMENT",
                "TR0N_CPU: expected one of what this processor runs (" + names + "), got \"" + wanted + "\"");
  return *best;
}

}  // namespace

const InstructionSet& instruction_set() {
  static const InstructionSet& best = choose();
  return best;
}

}  // namespace tr0n
