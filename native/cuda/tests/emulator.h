#pragma once
#include <dlfcn.h>

#include <cstdint>
#include <string>

#include "cuda/library.h"

namespace tr0n::test {

/// The hooks of the driver emulator, where that is the driver.
struct Emulator {
  void (*fail)(const char* function, uint64_t nth, int status, int lasting) = nullptr;
  void (*fail_none)() = nullptr;
  uint64_t (*leaks)() = nullptr;
  uint64_t (*violations)() = nullptr;
  uint64_t (*calls)(const char* function) = nullptr;
  void (*reset)() = nullptr;
  const char* (*report)() = nullptr;
  int (*configure)(const char* name, long long value) = nullptr;
};

/// Null on a real driver: what only the emulator can do is not tested there.
inline const Emulator* emulator() {
  static const Emulator* found = []() -> const Emulator* {
    void* handle = dlopen(cuda::library().path.c_str(), RTLD_NOW | RTLD_NOLOAD);
    if (handle == nullptr || dlsym(handle, "tr0n_emulator_fail") == nullptr) return nullptr;
    static Emulator hooks;
    const auto find = [&](auto& hook, const char* name) {
      hook = reinterpret_cast<std::remove_reference_t<decltype(hook)>>(dlsym(handle, name));
    };
    find(hooks.fail, "tr0n_emulator_fail");
    find(hooks.fail_none, "tr0n_emulator_fail_none");
    find(hooks.leaks, "tr0n_emulator_leaks");
    find(hooks.violations, "tr0n_emulator_violations");
    find(hooks.calls, "tr0n_emulator_calls");
    find(hooks.reset, "tr0n_emulator_reset");
    find(hooks.report, "tr0n_emulator_report");
    find(hooks.configure, "tr0n_emulator_configure");
    return &hooks;
  }();
  return found;
}

}  // namespace tr0n::test
