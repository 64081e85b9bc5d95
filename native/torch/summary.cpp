#include "torch/summary.h"

#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/inliner.h>

#include <algorithm>
#include <map>

#include "torch/returned_values.h"

namespace tr0n::torchscript {
namespace {

using torch::jit::Block;
using torch::jit::Node;
using torch::jit::Value;
namespace prim = c10::prim;

bool among(const std::string& op, std::initializer_list<const char*> names) {
  return std::any_of(names.begin(), names.end(), [&](const char* name) { return op == name; });
}

/// An argument by its name in the operator's schema.
const Value* argument(const Node* node, const char* name) {
  const c10::FunctionSchema* schema = node->maybeSchema();
  const auto index = schema ? schema->argumentIndexWithName(name) : c10::nullopt;
  return index && *index >= 0 ? node->input(static_cast<size_t>(*index)) : nullptr;
}

class Walk {
 public:
  explicit Walk(const Fixed& fixed) : fixed_(fixed) {}

  void visit(const Block* block) {
    for (const Node* node : block->nodes()) {
      if (node->kind().is_aten()) {
        ++operators[node->kind().toQualString()];
        if (random.empty()) random = randomness(node);
      }
      if (node->kind() == prim::If) {
        const auto taken = fixed_.boolean(node->input(0));
        for (size_t i = 0; i < 2; ++i)
          if (!taken || *taken == (i == 0)) visit(node->blocks()[i]);
      } else {
        for (const Block* inner : node->blocks()) visit(inner);
      }
    }
  }

  std::map<std::string, size_t> operators;
  std::string random;

 private:
  /// Why a run may differ from the next; empty where it does not.
  std::string randomness(const Node* node) const {
    const std::string op = node->kind().toUnqualString();
    const auto fixed_false = [&](const char* name) {
      const Value* source = argument(node, name);
      return source && fixed_.boolean(source) == std::optional(false);
    };
    if (among(op, {"rand",     "rand_like", "randn",          "randn_like",  "randint", "randint_like",
                   "randperm", "bernoulli", "bernoulli_",     "multinomial", "normal",  "normal_",
                   "uniform_", "random_",   "exponential_",   "geometric_",  "cauchy_", "log_normal_",
                   "poisson",  "binomial",  "_standard_gamma"}))
      return node->kind().toQualString();
    if (among(op, {"dropout", "dropout_", "alpha_dropout", "alpha_dropout_", "feature_dropout",
                   "feature_dropout_", "feature_alpha_dropout", "feature_alpha_dropout_"}))
      return fixed_false("train") ? "" : std::string(node->kind().toQualString()) + " in training mode";
    if (among(op, {"rrelu", "rrelu_", "rrelu_with_noise", "rrelu_with_noise_"}))
      return fixed_false("training") ? "" : std::string(node->kind().toQualString()) + " in training mode";
    // Statistics of the batch: a row's result depends on the other rows, and running means move.
    if (among(op, {"batch_norm", "native_batch_norm", "cudnn_batch_norm", "_batch_norm_impl_index"})) {
      const Value* training = argument(node, "training");
      if (training && fixed_.boolean(training) == std::optional(true))
        return std::string(node->kind().toQualString()) + " in training mode";
    }
    return "";
  }

  const Fixed& fixed_;
};

/// The operator that makes a value's numbers, those that only move them about left out.
std::string maker(const Value* value, int depth = 0) {
  const Node* node = value->node();
  if (depth > 40) return "";
  if (node->kind() == prim::If) {
    // softmax() in scripts has a branch for each way to be called.
    std::string found;
    for (const Block* block : node->blocks()) {
      const Value* result = block->outputs()[value->offset()];
      if (result->node()->kind() == prim::Uninitialized) continue;
      const std::string inner = maker(result, depth + 1);
      if (!found.empty() && found != inner) return "";
      found = inner;
    }
    return found;
  }
  if (!node->kind().is_aten()) return "";
  std::string op = node->kind().toUnqualString();
  if (among(op, {"view", "reshape", "flatten", "squeeze", "unsqueeze", "contiguous", "to", "clone", "detach",
                 "alias", "float", "type_as"}))
    return maker(node->input(0), depth + 1);
  return op;
}

std::string json_text(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    static constexpr char kDigits[] = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      (result += '\\') += c;
    else if (byte < 0x20)
      ((result += "\\u00") += kDigits[byte >> 4]) += kDigits[byte & 15];
    else
      result += c;
  }
  return result + "\"";
}

template <class Entries, class Write>
std::string object(const Entries& entries, Write write) {
  std::string result;
  for (const auto& [name, value] : entries)
    result += (result.empty() ? "" : ",") + json_text(name) + ":" + write(value);
  return "{" + result + "}";
}

/// Whether sizes follow from sizes, as far as the operators tell.
bool sizes_from_sizes(const std::map<std::string, size_t>& operators) {
  return std::none_of(operators.begin(), operators.end(), [](const auto& entry) {
    return among(entry.first.substr(entry.first.rfind(':') + 1),
                 {"nonzero", "nonzero_numpy", "masked_select", "unique_consecutive", "unique_dim", "_unique",
                  "_unique2", "argwhere", "bincount", "histc", "item", "Bool", "is_nonzero", "equal"});
  });
}

}  // namespace

std::string summarise(tr0n_torch_model& model) {
  const auto graph = model.module.get_method("forward").graph()->copy();
  torch::jit::Inline(*graph);
  torch::jit::EliminateDeadCode(graph);
  const Fixed fixed(model.module, graph->inputs().at(0));
  Walk walk(fixed);
  walk.visit(graph->block());
  model.shapes_follow = sizes_from_sizes(walk.operators);

  int64_t parameters = 0;
  for (const auto& parameter : model.module.parameters()) parameters += parameter.numel();
  std::string name = model.module.type()->name() ? model.module.type()->name()->qualifiedName() : "";
  const std::string prefix = "__torch__.";
  if (name.rfind(prefix, 0) == 0) name = name.substr(prefix.size());
  return "{\"class\":" + json_text(name) + ",\"parameters\":" + std::to_string(parameters) +
         ",\"operators\":" + object(walk.operators, [](size_t count) { return std::to_string(count); }) +
         ",\"random\":" + (walk.random.empty() ? "null" : json_text(walk.random)) +
         ",\"widened\":" + std::to_string(model.widened) + ",\"outputs\":" +
         object(returned_values(*graph, fixed, tensor_name(model.module)),
                [](const Value* value) { return json_text(maker(value)); }) +
         "}";
}

}  // namespace tr0n::torchscript
