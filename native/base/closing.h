#pragma once
#include <functional>

namespace tr0n {

/// Calls `close` on a thread of its own: for objects whose end takes tenths of a second or waits for others,
/// when the last reference to them may go on the JavaScript thread. Where no thread is to be had it is called
/// here. It must not throw.
void close_apart(std::function<void()> close);

/// Waits until nothing is being closed, for a limited time. At process exit.
void wait_for_closing();

}  // namespace tr0n
