#pragma once
#include <memory>
#include <string>

#include "torch/model.h"

namespace tr0n::torchscript {

/// The model with one output "columns" [rows, F + K]: features, then the output named `output`, each row
/// flat. Features are the output of that name; where it is empty, what the last linear layer before `output`
/// reads. Weights are shared.
///
/// Throws ERR_INVALID_ARGUMENT for features that are no output, ERR_MODEL_UNSUPPORTED where there is no such
/// layer, or the graph does not say where outputs come from.
std::unique_ptr<tr0n_torch_model> with_features(const tr0n_torch_model& model, const std::string& output,
                                                const std::string& features);

}  // namespace tr0n::torchscript
