#pragma once
#include <torch/script.h>

#include <string>
#include <utility>
#include <vector>

#include "torch/fixed_values.h"

namespace tr0n::torchscript {

/// The values that a graph returns, under the names that name_outputs() gives them, as far as the graph
/// itself says: the result of a branch, a list of unknown length and the like are left out.
std::vector<std::pair<std::string, torch::jit::Value*>> returned_values(torch::jit::Graph& graph,
                                                                        const Fixed& fixed,
                                                                        const std::string& tensor_name);

/// What a tensor is called that forward() returns by itself.
std::string tensor_name(const torch::jit::Module& module);

}  // namespace tr0n::torchscript
