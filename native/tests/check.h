#pragma once
#include <cmath>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"

/// A few lines instead of a test framework: `TEST(name) { CHECK(...); }` in any file of this folder.
namespace tr0n::test {

struct Case {
  const char* name;
  void (*run)();
};
std::vector<Case>& cases();
extern int failures;

struct Registration {
  Registration(const char* name, void (*run)()) { cases().push_back({name, run}); }
};

inline void fail(const char* file, int line, const std::string& what) {
  std::printf("  %s:%d: %s\n", file, line, what.c_str());
  ++failures;
}

/// The code of the Error that `body` throws, "" when it throws none.
inline std::string code_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.code();
  }
  return "";
}

/// Heap allocations of the process so far.
size_t allocations();

}  // namespace tr0n::test

#define TEST(name)                                                                 \
  static void test_##name();                                                       \
  static const ::tr0n::test::Registration registration_##name(#name, test_##name); \
  static void test_##name()

#define CHECK(condition)                                                               \
  do {                                                                                 \
    if (!(condition)) ::tr0n::test::fail(__FILE__, __LINE__, "not true: " #condition); \
  } while (false)

#define CHECK_NEAR(value, expected, tolerance)                                                          \
  do {                                                                                                  \
    const double check_value = (value), check_expected = (expected), check_tolerance = (tolerance);     \
    if (!(std::fabs(check_value - check_expected) <= check_tolerance))                                  \
      ::tr0n::test::fail(__FILE__, __LINE__,                                                            \
                         #value " is " + std::to_string(check_value) + ", expected " +                  \
                             std::to_string(check_expected) + " ± " + std::to_string(check_tolerance)); \
  } while (false)

#define CHECK_CODE(expected, ...)                                                                    \
  do {                                                                                               \
    const std::string check_code = ::tr0n::test::code_of([&] { __VA_ARGS__; });                      \
    if (check_code != (expected))                                                                    \
      ::tr0n::test::fail(__FILE__, __LINE__, "code \"" + check_code + "\", expected " + (expected)); \
  } while (false)
