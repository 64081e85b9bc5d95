#pragma once
#include <torch/script.h>

#include <vector>

#include "torch/fixed_values.h"
#include "torch/model.h"

namespace tr0n::torchscript {

/// The tensors that forward() takes, by themselves or in tuples, lists and dictionaries: the model's
/// `inputs`, `arguments` and `containers`. A tensor in a tuple is called by its field or as "x_0", …; one in
/// a list as "x_0", …; one in a dictionary by its key, as far as the code names keys. Throws
/// ERR_MODEL_UNSUPPORTED for arguments of other types that have no default.
void read_arguments(tr0n_torch_model& model);

/// The values that are this input in a graph of forward() whose calls are inlined.
std::vector<const torch::jit::Value*> values_of(const Input& input, const torch::jit::Graph& graph,
                                                const Fixed& fixed);

/// forward()'s arguments of tensors in the order of the inputs.
std::vector<c10::IValue> pack(const tr0n_torch_model& model, std::vector<c10::IValue> tensors);

}  // namespace tr0n::torchscript
