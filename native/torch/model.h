#pragma once
#include <torch/script.h>

#include <memory>
#include <string>
#include <vector>

#include "torch/torch_api.h"

namespace tr0n::torchscript {

/// A tensor among the arguments of forward, or in one of them.
struct Input {
  std::string name;
  size_t argument = 0;  ///< its position, without self
  std::string key;      ///< of a dictionary's
  size_t item = 0;      ///< place in a tuple or list
  bool known_rank = false;
  std::vector<int64_t> shape;  ///< -1 where not known
  int32_t element_type = 0;    ///< 0 where not known
};

/// Element types by ONNX's numbers; 0 for those that tensors of tr0n do not have.
int32_t element_type(c10::ScalarType type);
/// Throws c10::Error for numbers that no tensor has.
c10::ScalarType scalar_type(int32_t element_type);

}  // namespace tr0n::torchscript

struct tr0n_torch_model {
  std::string name;
  torch::jit::Module module;
  c10::Device device = c10::kCPU;
  std::vector<tr0n::torchscript::Input> inputs;
  std::vector<c10::IValue> arguments;    ///< of forward, with the defaults of those that are no inputs
  std::vector<c10::TypePtr> containers;  ///< of arguments that tensors are parts of; else null
  uint64_t parameter_bytes = 0;
  size_t widened = 0;  ///< tensors that were in half precision
  std::string summary;
  bool shapes_follow = true;  ///< no operator's result has a size that numbers decide
  /// Another function of the module than forward(), with one output of its own name; see with_features().
  std::shared_ptr<torch::jit::CompilationUnit> unit;
  torch::jit::Function* function = nullptr;

  c10::IValue call(std::vector<c10::IValue> values) const;
};

namespace tr0n::torchscript {

/// Throws Failure and whatever libtorch throws. Needs a deep stack.
std::unique_ptr<tr0n_torch_model> open_model(const void* bytes, uint64_t size, const std::string& name,
                                             int32_t device, bool trusted);

}  // namespace tr0n::torchscript
