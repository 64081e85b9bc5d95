#pragma once
#include <functional>

namespace tr0n::torchscript {

/// Runs `body` on a thread of its own with a stack of 512 MB (of which only what is touched takes memory) and
/// waits. Exceptions come through. Throws std::bad_alloc where there is no such thread to be had.
void on_deep_stack(const std::function<void()>& body);

}  // namespace tr0n::torchscript
