#include "base/fields.h"

#include <array>
#include <cmath>
#include <cstdio>

#include "base/error.h"

namespace tr0n {
namespace {

/// 2^24 − 1 as that.
std::string size_text(double size) {
  int exponent = 0;
  const double fraction = std::frexp(size + 1, &exponent);
  if (size >= 65536 && fraction == 0.5) return "2^" + std::to_string(exponent - 1) + " - 1";
  return std::to_string(static_cast<unsigned long long>(size));
}

[[noreturn]] void refuse(const char* whose, const Field& field, const std::string& expected,
                         const std::string& got) {
  throw Error("ERR_INVALID_ARGUMENT",
              std::string(whose) + ": " + field.label + ": expected " + expected + ", got " + got);
}

}  // namespace

void refuse_field(const char* whose, const Field& field, double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%g", value);
  refuse(whose, field, field.expected, text.data());
}

void refuse_field(const char* whose, const Field& field, unsigned long long value) {
  const bool low = static_cast<double>(value) < field.minimum;
  refuse(whose, field, low ? "at least " + size_text(field.minimum) : "at most " + size_text(field.maximum),
         std::to_string(value));
}

}  // namespace tr0n
