#pragma once
#include <torch/script.h>

#include <optional>
#include <vector>

namespace tr0n::torchscript {

/// The values of a graph that are fixed: constants, and attributes of the module.
class Fixed {
 public:
  /// `self` is the graph's first input.
  Fixed(const torch::jit::Module& module, const torch::jit::Value* self) : module_(module), self_(self) {}

  std::optional<c10::IValue> value(const torch::jit::Value* value) const;
  std::optional<int64_t> integer(const torch::jit::Value* source) const;
  std::optional<bool> boolean(const torch::jit::Value* source) const;
  /// -1 where an element is computed.
  std::optional<std::vector<int64_t>> integers(const torch::jit::Value* source) const;
  /// Of a weight; transposed matrices, as addmm takes them, are seen through.
  std::optional<std::vector<int64_t>> sizes(const torch::jit::Value* source) const;

 private:
  const torch::jit::Module& module_;
  const torch::jit::Value* self_;
};

}  // namespace tr0n::torchscript
