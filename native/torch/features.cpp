#include "torch/features.h"

#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/inliner.h>

#include <algorithm>
#include <set>

#include "torch/errors.h"
#include "torch/returned_values.h"

namespace tr0n::torchscript {
namespace {

using torch::jit::Node;
using torch::jit::Value;

/// What a linear layer with fixed weights reads; null for any other node.
Value* layer_input(Node* node, const Fixed& fixed) {
  const auto reads = [&](size_t data, size_t weight) -> Value* {
    const auto sizes = fixed.sizes(node->input(weight));
    return sizes && sizes->size() == 2 && !fixed.value(node->input(data)) ? node->input(data) : nullptr;
  };
  if (!node->kind().is_aten()) return nullptr;
  const std::string op = node->kind().toUnqualString();
  if (op == "linear" || op == "matmul" || op == "mm") return reads(0, 1);
  if (op == "addmm") return reads(1, 2);
  return nullptr;
}

/// The input of the linear layer nearest to `output`.
Value* penultimate(Value* output, const Fixed& fixed) {
  std::vector<Node*> level{output->node()};
  std::set<Node*> seen(level.begin(), level.end());
  while (!level.empty()) {
    std::vector<Node*> next;
    for (Node* node : level) {
      if (Value* found = layer_input(node, fixed)) return found;
      for (Value* input : node->inputs())
        if (seen.insert(input->node()).second) next.push_back(input->node());
    }
    level = std::move(next);
  }
  return nullptr;
}

}  // namespace

std::unique_ptr<tr0n_torch_model> with_features(const tr0n_torch_model& model, const std::string& output,
                                                const std::string& features) {
  const auto graph = model.module.get_method("forward").graph()->copy();
  torch::jit::Inline(*graph);
  const Fixed fixed(model.module, graph->inputs().at(0));
  const auto returned = returned_values(*graph, fixed, tensor_name(model.module));
  const auto find = [&](const std::string& name) -> Value* {
    for (const auto& [known, value] : returned)
      if (known == name) return value;
    return nullptr;
  };
  Value* scores = find(output);
  if (!scores)
    throw Failure("ERR_MODEL_UNSUPPORTED",
                  model.name + ": the model's code does not tell where its output \"" + output +
                      "\" comes from (a branch, or a list that is put together in a loop); return a tensor, "
                      "a tuple or a dictionary with fixed keys");
  Value* columns = features.empty() ? penultimate(scores, fixed) : find(features);
  if (!columns && features.empty())
    throw Failure("ERR_MODEL_UNSUPPORTED",
                  model.name +
                      ": expected a last linear layer with fixed weights, whose input are the features to "
                      "compare samples in; the model has none before its output \"" +
                      output + "\". Return the features as another output, and name that");
  if (!columns) {
    std::string names;
    for (const auto& [name, value] : returned) names += (names.empty() ? "\"" : ", \"") + name + "\"";
    throw Failure("ERR_INVALID_ARGUMENT", "features: " + model.name + " has no output \"" + features +
                                              "\"; its outputs are: " + names);
  }

  const torch::jit::WithInsertPoint at_the_end(graph->block());
  const auto flat = [&](Value* value) { return graph->insert(c10::aten::flatten, {value, 1}); };
  Value* parts =
      graph->insertNode(graph->createList(c10::TensorType::get(), {flat(columns), flat(scores)}))->output();
  Value* joined = graph->insert(c10::aten::cat, {parts, 1});
  graph->eraseOutput(0);
  graph->registerOutput(joined);
  torch::jit::EliminateDeadCode(graph);

  auto result = std::make_unique<tr0n_torch_model>(model);
  result->unit = std::make_shared<torch::jit::CompilationUnit>();
  result->function = result->unit->create_function(c10::QualifiedName("columns"), graph);
  return result;
}

}  // namespace tr0n::torchscript
