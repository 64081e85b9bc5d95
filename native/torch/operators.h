#pragma once
#include <string>

namespace tr0n::torchscript {

/// Whether an operator ("aten::conv2d"), or a class of libtorch's ("class quantized.Conv2dPackedParamsBase"),
/// is on the list of those that only compute: operators.txt.
bool only_computes(const std::string& name);
/// Whether an overload ("aten::index_put_.hacked_twin") of a listed operator is excepted from the list.
bool refused_overload(const std::string& name);

}  // namespace tr0n::torchscript
