#include <cstring>

#include "emulator/tests/check.h"

/// The emulator's own tests. Arguments choose tests by a part of their names.
int main(int count, char** arguments) {
  using namespace tr0n::emulator::test;
  int run = 0;
  for (const Case& test : cases()) {
    bool chosen = count < 2;
    for (int k = 1; k < count; ++k) chosen = chosen || std::strstr(test.name, arguments[k]) != nullptr;
    if (!chosen) continue;
    const int before = failures;
    test.run();
    ++run;
    if (failures > before) std::printf("%s failed\n", test.name);
  }
  std::printf("%d tests, %ld checks, %d failures\n", run, checks, failures);
  return failures > 0 || run == 0 ? 1 : 0;
}
