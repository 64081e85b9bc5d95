#pragma once
#include <cstdint>

/// What the emulator exports beside the driver API. Strings stay valid until the calling thread's next call
/// that returns one.
extern "C" {

/// Violations so far as JSON: { "count", "violations": [{ "kind", "kernel", "line", "block", "thread", "text"
/// }] }.
__attribute__((visibility("default"))) const char* tr0n_emulator_report();
__attribute__((visibility("default"))) uint64_t tr0n_emulator_violations();
/// Forgets violations and counters.
__attribute__((visibility("default"))) void tr0n_emulator_reset();
/// Reports every allocation that is live now as a leak; returns how many.
__attribute__((visibility("default"))) uint64_t tr0n_emulator_leaks();

/// Counters of every kernel as JSON (statistics.h).
__attribute__((visibility("default"))) const char* tr0n_emulator_counters();

/// Sets a value of config.h by its name there in the environment, in lower case and without the prefix. 0:
/// done.
__attribute__((visibility("default"))) int tr0n_emulator_configure(const char* name, long long value);

/// Makes the nth call from now on (1: the next) of a driver function return `status` and do nothing else.
/// `function` may be
/// "*" for any call, or end with * for a prefix ("cuMemAlloc*"). `lasting`: that call and all after it.
__attribute__((visibility("default"))) void tr0n_emulator_fail(const char* function, uint64_t nth, int status,
                                                               int lasting);
__attribute__((visibility("default"))) void tr0n_emulator_fail_none();
/// Calls of the functions that a pattern names, since the library was loaded.
__attribute__((visibility("default"))) uint64_t tr0n_emulator_calls(const char* function);
}
