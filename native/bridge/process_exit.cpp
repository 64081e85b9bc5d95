#include "bridge/process_exit.h"

#include <atomic>
#include <cstdlib>

namespace tr0n {
namespace {

std::atomic<void (*)()> exit_hook{nullptr};
std::atomic<int> registrations{0};

}  // namespace

void run_process_exit_hook() {
  // Registered several times, runs once.
  if (auto* hook = exit_hook.exchange(nullptr)) hook();
}

void set_process_exit_hook(void (*hook)()) { exit_hook.store(hook); }

void register_process_exit() {
  // The moments that matter are the first ones; the list of exit handlers must not grow with every model.
  if (registrations.fetch_add(1) < 16) std::atexit(run_process_exit_hook);
}

}  // namespace tr0n
