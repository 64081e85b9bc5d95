#pragma once
#include <torch/script.h>

#include <string>
#include <vector>

namespace tr0n::torchscript {

/// Where every way back from `roots` to `leaves` leads through functions whose derivative is 0 wherever there
/// is one (sign, round, floor, …): their names. Empty where a way is free, and where there is none.
std::string flat_ends(const std::vector<at::Tensor>& roots, const std::vector<at::Tensor>& leaves);

}  // namespace tr0n::torchscript
