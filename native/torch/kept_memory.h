#pragma once

namespace tr0n::torchscript {

/// Makes libtorch's tensors on the CPU keep their memory at hand. A step allocates and frees the same large
/// blocks as the one before, which the system would take back and clear every time: three times the step's
/// own work for the demo models. What is kept and what is in use are together never more than what was once
/// in use at the same time.
void keep_memory();

/// Gives back all that is kept. Called when no model is left, and on demand.
void release_kept_memory();

}  // namespace tr0n::torchscript
