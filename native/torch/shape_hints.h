#pragma once
#include "torch/model.h"

namespace tr0n::torchscript {

/// Fills in what the graph of forward() tells of its inputs' shapes and types: TorchScript declares neither,
/// but the first linear map, convolution, embedding, split, … that an input meets does. Never throws for a
/// graph that tells nothing.
void hint_shapes(tr0n_torch_model& model);

}  // namespace tr0n::torchscript
