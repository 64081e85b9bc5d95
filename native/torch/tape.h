#pragma once
#include <torch/script.h>

#include <memory>
#include <string>
#include <vector>

#include "torch/model.h"
#include "torch/work.h"

struct tr0n_torch_tape {
  struct Output {
    std::string name;
    at::Tensor value;  ///< as forward returned it, with its history
    at::Tensor dense;  ///< contiguous, where the caller wants it
  };
  const tr0n_torch_model* model = nullptr;
  std::vector<at::Tensor> leaves;  ///< the inputs; undefined without a record
  std::vector<Output> outputs;
  bool recorded = false, used_up = false;
  tr0n::torchscript::Work work;
};

namespace tr0n::torchscript {

/// Throw Failure and whatever libtorch throws.
std::unique_ptr<tr0n_torch_tape> run(const tr0n_torch_model& model, const tr0n_torch_tensor* inputs,
                                     int32_t count, int32_t flags);
void backward(tr0n_torch_tape& tape, const tr0n_torch_tensor* cotangents, bool keep,
              const tr0n_torch_tensor* gradients);

}  // namespace tr0n::torchscript
