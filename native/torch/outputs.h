#pragma once
#include <torch/script.h>

#include <string>
#include <vector>

#include "torch/model.h"

namespace tr0n::torchscript {

struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};

/// What forward() returned, flat. A tensor is called as the schema calls it, else "output"; parts of a tuple
/// or list "output_0", …, of a named tuple by its fields, of a dictionary by its keys. None is left out.
///
/// Throws ERR_MODEL_UNSUPPORTED where something else than tensors comes back.
std::vector<NamedTensor> name_outputs(const tr0n_torch_model& model, const c10::IValue& result);

}  // namespace tr0n::torchscript
