/// Holds every kernel to the CPU's body and to float64 on the driver that it finds. The first thing to run on
/// a new machine. Ends with 0: all passed; 1: something failed; 2: wrong use; 3: no driver or no GPU.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "selftest/test.h"

namespace {

constexpr const char* kUsage =
    "usage: cuda-selftest [--filter TEXT]… [--quick] [--json] [--fail-fast] [--device N] [--list]\n"
    "  --filter TEXT  only cases whose kernel contains TEXT\n"
    "  --quick        small sizes only\n"
    "  --json         the results as one JSON object\n"
    "  --fail-fast    stop after the first case that fails\n"
    "  --device N     which GPU (0)\n"
    "  --list         the kernels that have cases\n"
    "TR0N_CUDA_DRIVER names another driver than libcuda.so.1.\n";

struct Options {
  std::vector<std::string> filters;
  bool quick = false, json = false, fail_fast = false, list = false, valid = true;
  int device = 0;

  bool wants(const char* kernel) const {
    bool any = filters.empty();
    for (const std::string& filter : filters) any |= std::strstr(kernel, filter.c_str()) != nullptr;
    return any;
  }
};

Options options_of(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--quick")
      options.quick = true;
    else if (argument == "--json")
      options.json = true;
    else if (argument == "--fail-fast")
      options.fail_fast = true;
    else if (argument == "--list")
      options.list = true;
    else if (argument == "--filter" && i + 1 < argc)
      options.filters.emplace_back(argv[++i]);
    else if (argument == "--device" && i + 1 < argc)
      options.device = std::atoi(argv[++i]);
    else
      options.valid = false;
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace tr0n::selftest;
  const Options options = options_of(argc, argv);
  if (!options.valid) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  if (options.list) {
    for (const Case& test : cases()) std::printf("%s\n", test.kernel);
    return 0;
  }
  std::unique_ptr<Machine> machine;
  try {
    machine = std::make_unique<Machine>(options.device);
  } catch (const tr0n::Error& error) {
    std::fprintf(stderr, "no GPU to test: %s\n", error.what());
    return 3;
  }
  Report report(*machine, options.json);
  report.header();
  size_t ran = 0;
  for (const Case& test : cases()) {
    if (!options.wants(test.kernel)) continue;
    if (options.fail_fast && report.failures() > 0) break;
    ++ran;
    try {
      Test context(*machine, report, test.kernel, options.quick);
      test.run(context);
    } catch (const std::exception& error) {
      report.fail(test.kernel, error.what());
    }
    const std::string violations = machine->violations();
    if (!violations.empty()) report.fail(test.kernel, violations);
  }
  const size_t leaks = machine->leaks();
  if (leaks > 0) report.fail("device memory", std::to_string(leaks) + " allocations were never freed");
  report.finish(ran);
  if (ran == 0) std::fputs("no case matches\n", stderr);
  return report.failures() == 0 && report.lines() > 0 ? 0 : 1;
}
