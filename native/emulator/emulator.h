#pragma once
#include <cstddef>
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

/// Bytes that copies moved since tr0n_emulator_reset as JSON: { "toDevice", "toHost", "withinDevice",
/// "peeked", "poked" }.
__attribute__((visibility("default"))) const char* tr0n_emulator_traffic();

/// Counters of every kernel as JSON (statistics.h).
__attribute__((visibility("default"))) const char* tr0n_emulator_counters();

/// Sets a value of config.h by its name there in the environment, in lower case and without the prefix. 0:
/// done.
__attribute__((visibility("default"))) int tr0n_emulator_configure(const char* name, long long value);

/// Makes the nth call from now on (1: the next) of a driver function return `status` and do nothing else.
/// `function` may be
/// "*" for any call, or end with * for a prefix ("cuMemAlloc*"); "@work": the nth piece of work that a stream
/// does fails its device. `lasting`: that call and all after it.
__attribute__((visibility("default"))) void tr0n_emulator_fail(const char* function, uint64_t nth, int status,
                                                               int lasting);
__attribute__((visibility("default"))) void tr0n_emulator_fail_none();
/// Calls of the functions that a pattern names, since the library was loaded.
__attribute__((visibility("default"))) uint64_t tr0n_emulator_calls(const char* function);

/// For a library that stands in for one with kernels of its own. Appends to a stream of the current context
/// what `run` does when its turn comes; what it returns but 0 is the status that its device fails with.
/// `drop` is called with `user` once, when nothing needs it any more. Returns a CUresult.
__attribute__((visibility("default"))) int tr0n_emulator_enqueue(void* stream, const char* name,
                                                                 int (*run)(void*), void (*drop)(void*),
                                                                 void* user);
/// Reads and writes device memory, which the host cannot: for such a library's work alone. A CUresult.
__attribute__((visibility("default"))) int tr0n_emulator_peek(void* to, uint64_t from, size_t bytes);
__attribute__((visibility("default"))) int tr0n_emulator_poke(uint64_t to, const void* from, size_t bytes);
}
