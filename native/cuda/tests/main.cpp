/// Runs the tests of this folder: all of them, or those whose names contain an argument.
#include <cstring>

#include "cuda/library.h"
#include "tests/check.h"

namespace tr0n::test {

int failures = 0;

std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

}  // namespace tr0n::test

int main(int argc, char** argv) {
  using namespace tr0n::test;
  if (!tr0n::cuda::library().usable) {
    std::printf("no CUDA driver: %s\n", tr0n::cuda::library().problem.c_str());
    return 1;
  }
  size_t ran = 0;
  for (const Case& test : cases()) {
    bool wanted = argc == 1;
    for (int i = 1; i < argc; ++i) wanted |= std::strstr(test.name, argv[i]) != nullptr;
    if (!wanted) continue;
    const int before = failures;
    try {
      test.run();
    } catch (const std::exception& error) {
      fail(test.name, 0, error.what());
    }
    std::printf("%s %s\n", failures == before ? "ok    " : "FAILED", test.name);
    ++ran;
  }
  std::printf("%zu tests, %d failures\n", ran, failures);
  return failures == 0 && ran > 0 ? 0 : 1;
}
