#include "base/background.h"

#ifdef __linux__
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace tr0n {

void yield_to_interactive_threads() noexcept {
#ifdef __linux__
  constexpr int kStep = 5, kWeakest = 19;
  const auto thread = static_cast<id_t>(syscall(SYS_gettid));
  // Relative to the main thread, for a thread inherits the value of the one that started it.
  const int main_thread = getpriority(PRIO_PROCESS, static_cast<id_t>(getpid()));
  const int wanted = main_thread + kStep > kWeakest ? kWeakest : main_thread + kStep;
  (void)setpriority(PRIO_PROCESS, thread, wanted);  // a favour to others: failing to do it breaks nothing
#endif
}

}  // namespace tr0n
