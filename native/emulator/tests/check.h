#pragma once
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

/// `TEST(name) { CHECK(...); }` in any file of this folder.
namespace tr0n::emulator::test {

struct Case {
  const char* name;
  void (*run)();
};
inline std::vector<Case>& cases() {
  static std::vector<Case> list;
  return list;
}
inline int failures = 0;
inline long checks = 0;

struct Registration {
  Registration(const char* name, void (*run)()) { cases().push_back({name, run}); }
};

inline void fail(const char* file, int line, const std::string& what) {
  if (++failures < 60) std::printf("  %s:%d: %s\n", file, line, what.c_str());
}

}  // namespace tr0n::emulator::test

#define TEST(name)                                                                           \
  static void test_##name();                                                                 \
  static const ::tr0n::emulator::test::Registration registration_##name(#name, test_##name); \
  static void test_##name()

#define CHECK_SAYING(condition, what)                                                                     \
  do {                                                                                                    \
    ++::tr0n::emulator::test::checks;                                                                     \
    if (!(condition))                                                                                     \
      ::tr0n::emulator::test::fail(__FILE__, __LINE__, "not true: " #condition ": " + std::string(what)); \
  } while (false)
#define CHECK(condition) CHECK_SAYING(condition, "")
