#pragma once

namespace tr0n {

/// Lowers the calling thread's weight with the scheduler (Linux: nice + 5; elsewhere nothing): where every
/// core computes, a thread that serves requests and wakes for a moment, Node's event loop, still gets its
/// turn at once.
void yield_to_interactive_threads() noexcept;

}  // namespace tr0n
