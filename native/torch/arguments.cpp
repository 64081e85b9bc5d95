#include "torch/arguments.h"

#include <torch/csrc/jit/passes/inliner.h>

#include <algorithm>
#include <optional>
#include <set>

#include "torch/errors.h"

namespace tr0n::torchscript {
namespace {

using c10::TypeKind;
using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;
namespace prim = c10::prim;

/// Parts of a list that are looked for; more would be no arguments any more.
constexpr int64_t kMostItems = 1024;

c10::TypePtr without_optional(const c10::TypePtr& type) {
  const auto optional = type->cast<c10::OptionalType>();
  return optional ? optional->getElementType() : type;
}

bool is_tensor(const c10::TypePtr& type) { return without_optional(type)->kind() == TypeKind::TensorType; }

/// Whether it is a container of tensors alone.
bool holds_tensors(const c10::TypePtr& type) {
  if (type->kind() == TypeKind::TupleType)
    return std::all_of(type->containedTypes().begin(), type->containedTypes().end(), is_tensor);
  if (type->kind() == TypeKind::ListType) return is_tensor(type->containedType(0));
  return type->kind() == TypeKind::DictType && type->containedType(0)->kind() == TypeKind::StringType &&
         is_tensor(type->containedType(1));
}

bool is_getitem(const Node* node) {
  return node->kind().is_aten() && std::string(node->kind().toUnqualString()) == "__getitem__";
}

/// A part that a node takes out of a container: its key, or its place. Nothing where it takes none that is
/// fixed.
struct Taken {
  std::string key;
  size_t item = 0;
  const Value* value = nullptr;
};

std::vector<Taken> taken_by(const torch::jit::Use& use, const Fixed& fixed) {
  const Node* node = use.user;
  if (use.offset != 0) return {};
  if (node->kind() == prim::TupleUnpack || node->kind() == prim::ListUnpack) {
    std::vector<Taken> all;
    for (size_t i = 0; i < node->outputs().size(); ++i) all.push_back({"", i, node->output(i)});
    return all;
  }
  if (!is_getitem(node) && node->kind() != prim::TupleIndex) return {};
  const auto which = fixed.value(node->input(1));
  if (!which) return {};
  if (which->isString()) return {{which->toStringRef(), 0, node->output()}};
  if (which->isInt() && which->toInt() >= 0 && which->toInt() < kMostItems)
    return {{"", static_cast<size_t>(which->toInt()), node->output()}};
  return {};
}

/// The parts that the code takes out of a container, by key or place.
std::vector<Taken> parts_taken(const Value* container, const Fixed& fixed) {
  std::vector<Taken> parts;
  for (const torch::jit::Use& use : container->uses()) {
    const std::vector<Taken> more = taken_by(use, fixed);
    parts.insert(parts.end(), more.begin(), more.end());
  }
  return parts;
}

[[noreturn]] void refuse(const tr0n_torch_model& model, const c10::Argument& argument,
                         const std::string& why) {
  throw Failure("ERR_MODEL_UNSUPPORTED", model.name + ": forward()'s argument \"" + argument.name() +
                                             "\" is of type " + argument.type()->str() + why);
}

/// Puts the parts of a container among the inputs.
void add_parts(tr0n_torch_model& model, const c10::Argument& argument, size_t index, const Graph& graph,
               const Fixed& fixed) {
  const c10::TypePtr type = without_optional(argument.type());
  std::vector<Input> parts;
  const auto part = [&](const std::string& name, const std::string& key) {
    Input input;
    input.name = name;
    input.argument = index;
    input.key = key;
    input.item = parts.size();
    parts.push_back(std::move(input));
  };
  const auto numbered = [&](size_t i) { return argument.name() + "_" + std::to_string(i); };
  if (const auto tuple = type->cast<c10::TupleType>()) {
    for (size_t i = 0; i < tuple->elements().size(); ++i)
      part(tuple->schema() ? tuple->schema()->arguments().at(i).name() : numbered(i), "");
  } else {
    const std::vector<Taken> taken = parts_taken(graph.inputs().at(index + 1), fixed);
    if (type->kind() == TypeKind::ListType) {
      size_t count = 0;
      for (const Taken& each : taken) count = std::max(count, each.item + 1);
      for (size_t i = 0; i < count; ++i) part(numbered(i), "");
    } else {
      std::set<std::string> known;
      for (const Taken& each : taken)
        if (!each.key.empty() && known.insert(each.key).second) part(each.key, each.key);
    }
  }
  if (parts.empty())
    refuse(model, argument,
           ", and its code does not tell which tensors it takes out of it: export a module "
           "that takes each of them as an argument of its own");
  for (Input& input : parts) {
    const bool clashes = std::any_of(model.inputs.begin(), model.inputs.end(),
                                     [&](const Input& other) { return other.name == input.name; });
    if (clashes) input.name = argument.name() + "." + input.name;
    model.inputs.push_back(std::move(input));
  }
}

}  // namespace

void read_arguments(tr0n_torch_model& model) {
  const auto forward = model.module.find_method("forward");
  if (!forward) throw Failure("ERR_MODEL_UNSUPPORTED", model.name + ": the module has no method forward()");
  const std::vector<c10::Argument>& arguments = forward->function().getSchema().arguments();
  std::shared_ptr<Graph> graph;
  for (size_t i = 1; i < arguments.size(); ++i) {  // 0 is self
    const c10::Argument& argument = arguments[i];
    model.arguments.push_back(argument.default_value() ? *argument.default_value() : c10::IValue());
    model.containers.emplace_back();
    if (argument.default_value()) continue;
    if (is_tensor(argument.type())) {
      Input input;
      input.name = argument.name();
      input.argument = i - 1;
      model.inputs.push_back(std::move(input));
      continue;
    }
    const c10::TypePtr type = without_optional(argument.type());
    if (!holds_tensors(type))
      refuse(model, argument, ", expected Tensor, a tuple, list or dictionary of such, or a default value");
    if (!graph) {
      graph = forward->graph()->copy();
      torch::jit::Inline(*graph);
    }
    model.containers.back() = type;
    add_parts(model, argument, i - 1, *graph, Fixed(model.module, graph->inputs().at(0)));
  }
  if (model.inputs.empty())
    throw Failure("ERR_MODEL_UNSUPPORTED", model.name + ": forward() takes no tensor");
}

std::vector<const Value*> values_of(const Input& input, const Graph& graph, const Fixed& fixed) {
  const Value* argument = graph.inputs().at(input.argument + 1);
  if (without_optional(argument->type())->kind() == TypeKind::TensorType) return {argument};
  std::vector<const Value*> values;
  for (const Taken& part : parts_taken(argument, fixed))
    if (part.key == input.key && (!input.key.empty() || part.item == input.item))
      values.push_back(part.value);
  return values;
}

std::vector<c10::IValue> pack(const tr0n_torch_model& model, std::vector<c10::IValue> tensors) {
  std::vector<c10::IValue> values = model.arguments;
  for (size_t argument = 0; argument < values.size(); ++argument) {
    const c10::TypePtr& type = model.containers[argument];
    std::vector<std::pair<const Input*, c10::IValue>> parts;
    for (size_t i = 0; i < model.inputs.size(); ++i)
      if (model.inputs[i].argument == argument) parts.emplace_back(&model.inputs[i], std::move(tensors[i]));
    if (!type) {
      if (!parts.empty()) values[argument] = std::move(parts[0].second);
    } else if (const auto tuple = type->cast<c10::TupleType>()) {
      std::vector<c10::IValue> elements;
      elements.reserve(parts.size());
      for (auto& [input, value] : parts) elements.push_back(std::move(value));
      values[argument] = tuple->schema() ? c10::ivalue::Tuple::createNamed(std::move(elements), tuple)
                                         : c10::ivalue::Tuple::create(std::move(elements));
    } else if (type->kind() == TypeKind::ListType) {
      c10::impl::GenericList list(type->containedType(0));
      for (auto& [input, value] : parts) list.push_back(std::move(value));
      values[argument] = list;
    } else {
      c10::impl::GenericDict dictionary(type->containedType(0), type->containedType(1));
      for (auto& [input, value] : parts) dictionary.insert_or_assign(input->key, std::move(value));
      values[argument] = dictionary;
    }
  }
  return values;
}

}  // namespace tr0n::torchscript
