#pragma once
#include <string>

#include "torch/model.h"

namespace tr0n::torchscript {

/// What forward()'s graph says, as JSON:
///
///     { "class": "networks.Classifier", "parameters": 90314,
///       "operators": { "aten::linear": 2, … },      how often each stands in the graph
///       "random": "aten::randn" or null,            an operator that makes a run differ from the next
///       "outputs": { "output": "softmax", … } }     the operator that makes each output's numbers, "" if
///       unknown
///
/// Branches that the module's own attributes never take (training) do not count. Sets model.shapes_follow.
std::string summarise(tr0n_torch_model& model);

}  // namespace tr0n::torchscript
