#include "torch/returned_values.h"

namespace tr0n::torchscript {

using torch::jit::Node;
using torch::jit::Value;
namespace prim = c10::prim;

std::vector<std::pair<std::string, Value*>> returned_values(torch::jit::Graph& graph, const Fixed& fixed,
                                                            const std::string& tensor_name) {
  std::vector<std::pair<std::string, Value*>> named;
  if (graph.outputs().size() != 1) return named;
  Value* result = graph.outputs()[0];
  Node* node = result->node();
  const auto numbered = [](size_t i) { return "output_" + std::to_string(i); };
  if (result->type()->kind() == c10::TypeKind::TensorType) {
    named.emplace_back(tensor_name, result);
  } else if (node->kind() == prim::TupleConstruct) {
    const auto& schema = result->type()->expectRef<c10::TupleType>().schema();
    for (size_t i = 0; i < node->inputs().size(); ++i)
      named.emplace_back(schema ? schema->arguments().at(i).name() : numbered(i), node->input(i));
  } else if (node->kind() == prim::ListConstruct) {
    for (size_t i = 0; i < node->inputs().size(); ++i) named.emplace_back(numbered(i), node->input(i));
  } else if (node->kind() == prim::DictConstruct) {
    for (size_t i = 0; i + 1 < node->inputs().size(); i += 2) {
      const auto key = fixed.value(node->input(i));
      if (key && key->isString()) named.emplace_back(key->toStringRef(), node->input(i + 1));
    }
  }
  return named;
}

std::string tensor_name(const torch::jit::Module& module) {
  const auto& returns = module.get_method("forward").function().getSchema().returns();
  return returns.size() == 1 && !returns[0].name().empty() ? returns[0].name() : "output";
}

}  // namespace tr0n::torchscript
