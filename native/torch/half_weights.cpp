#include "torch/half_weights.h"

#include <torch/csrc/jit/ir/ir.h>

#include <set>
#include <unordered_map>

namespace tr0n::torchscript {
namespace {

bool is_half(c10::ScalarType type) { return type == at::kHalf || type == at::kBFloat16; }

class Widening {
 public:
  size_t count() const { return made_.size(); }

  void object(const c10::intrusive_ptr<c10::ivalue::Object>& given) {
    if (!seen_.insert(given.get()).second) return;
    for (size_t i = 0; i < given->slots().size(); ++i) {
      const c10::IValue value = given->getSlot(i);
      if (value.isTensor() && is_half_tensor(value.toTensor())) given->setSlot(i, tensor(value.toTensor()));
      if (value.isObject()) object(value.toObject());
      if (value.isTensorList()) list(value.toTensorList());
    }
  }

 private:
  static bool is_half_tensor(const at::Tensor& given) {
    return given.defined() && is_half(given.scalar_type());
  }

  void list(const c10::List<at::Tensor>& given) {
    for (size_t i = 0; i < given.size(); ++i)
      if (const at::Tensor item = given.get(i); is_half_tensor(item)) given.set(i, tensor(item));
  }

  /// Weights that are shared stay shared.
  at::Tensor tensor(const at::Tensor& given) {
    at::Tensor& made = made_[given.unsafeGetTensorImpl()];
    if (!made.defined()) {
      kept_.push_back(given);
      made = widened(given);
    }
    return made;
  }

  std::set<const c10::ivalue::Object*> seen_;
  std::unordered_map<const c10::TensorImpl*, at::Tensor> made_;
  std::vector<at::Tensor> kept_;  ///< so that no address comes twice
};

/// Types that code names, such as of what a tensor is cast to.
void widen_code(torch::jit::Graph& graph, torch::jit::Block* block) {
  for (torch::jit::Node* node : block->nodes()) {
    for (torch::jit::Block* inner : node->blocks()) widen_code(graph, inner);
    const c10::FunctionSchema* schema = node->maybeSchema();
    const auto index = schema ? schema->argumentIndexWithName("dtype") : c10::nullopt;
    if (!index || *index < 0 || static_cast<size_t>(*index) >= node->inputs().size()) continue;
    const auto type = torch::jit::toIValue(node->input(static_cast<size_t>(*index)));
    if (!type || !type->isInt() || !is_half(static_cast<c10::ScalarType>(type->toInt()))) continue;
    const torch::jit::WithInsertPoint here(node);
    node->replaceInput(static_cast<size_t>(*index), graph.insertConstant(static_cast<int64_t>(at::kFloat)));
  }
}

}  // namespace

at::Tensor widened(const at::Tensor& tensor) {
  return tensor.defined() && is_half(tensor.scalar_type()) ? tensor.detach().to(at::kFloat) : tensor;
}

size_t widen_halves(torch::jit::Module& module) {
  Widening widening;
  widening.object(module._ivalue());
  if (widening.count() == 0) return 0;
  std::set<const torch::jit::Graph*> seen;
  for (const torch::jit::Module& part : module.modules())
    for (const torch::jit::Method& method : part.get_methods())
      if (const auto graph = method.graph(); seen.insert(graph.get()).second)
        widen_code(*graph, graph->block());
  return widening.count();
}

}  // namespace tr0n::torchscript
