#include "emulator/exec/decoder.h"

namespace tr0n::emulator {

bool Modifiers::take(std::string_view name) {
  for (size_t i = 0; i < taken_.size(); ++i) {
    if (taken_[i] || statement_.modifiers[i] != name) continue;
    taken_[i] = true;
    return true;
  }
  return false;
}

int Modifiers::take_one(std::initializer_list<std::string_view> names, int otherwise) {
  int index = 0;
  for (std::string_view name : names) {
    if (take(name)) return index;
    ++index;
  }
  return otherwise;
}

Type Modifiers::take_type() {
  for (size_t i = 0; i < taken_.size(); ++i) {
    if (taken_[i]) continue;
    const Type type = type_named(statement_.modifiers[i]);
    if (type == Type::none) continue;
    taken_[i] = true;
    return type;
  }
  return Type::none;
}

Type Modifiers::expect_type() {
  const Type type = take_type();
  if (type == Type::none) unknown();
  return type;
}

void Modifiers::take_any(std::initializer_list<std::string_view> names) {
  for (std::string_view name : names) take(name);
}

bool Modifiers::finished() const {
  for (const bool taken : taken_) {
    if (!taken) return false;
  }
  return true;
}

void Modifiers::unknown() const {
  std::string name = statement_.opcode;
  for (const std::string& modifier : statement_.modifiers) name += "." + modifier;
  throw PtxError(statement_.line, "unknown instruction \"" + name + "\"");
}

}  // namespace tr0n::emulator
