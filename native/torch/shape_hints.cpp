#include "torch/shape_hints.h"

namespace tr0n::torchscript {
void hint_shapes(tr0n_torch_model&) {}
}  // namespace tr0n::torchscript
