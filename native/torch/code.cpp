#include "torch/code.h"

#include <ATen/core/function.h>
#include <caffe2/serialize/inline_container.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/frontend/source_range.h>

#include <algorithm>

#include "torch/class_bodies.h"
#include "torch/errors.h"
#include "torch/interruption.h"
#include "torch/operators.h"
#include "torch/source_limits.h"

namespace torch::jit {
/// Fills libtorch's table of how operators of older versions are brought up to date; its header is not always
/// installed. It does something once.
TORCH_API void populate_upgraders_graph_map();
}  // namespace torch::jit

namespace tr0n::torchscript {
namespace {

using c10::TypeKind;
using torch::jit::Block;
using torch::jit::Function;
using torch::jit::Node;
namespace prim = c10::prim;

/// Far more than exported code has: the largest networks come to some hundred thousand nodes, and some tens
/// of modules within each other.
constexpr double kMostNodes = 5e6;
constexpr int kDeepest = 300;
constexpr size_t kMostDefinitions = 20'000;
constexpr size_t kNamed = 5;  ///< refusals in a message

const std::string kCustomClasses = "__torch__.torch.classes.";

torch::jit::Graph* graph_of(Function& function) {
  torch::jit::GraphFunction* compiled = torch::jit::tryToGraphFunction(function);
  return compiled ? compiled->graph().get() : nullptr;
}

/// Whose values need no look at their type before they are used: the interpreter asserts those of all others.
bool asserted(const c10::TypePtr& type) {
  switch (type->kind()) {
    case TypeKind::ClassType:
    case TypeKind::InterfaceType:
    case TypeKind::TupleType:
    case TypeKind::FutureType:
      return false;
    default:
      return std::all_of(type->containedTypes().begin(), type->containedTypes().end(), asserted);
  }
}

/// A cast that is not checked when it runs: only what takes None away, or is checked where it is used.
bool harmless_cast(const Node* node) {
  const c10::TypePtr to = node->output()->type(), from = node->input(0)->type();
  if (asserted(to) || from->isSubtypeOf(*to)) return true;
  const auto optional = from->cast<c10::OptionalType>();
  return optional && optional->getElementType()->isSubtypeOf(*to);
}

/// The function that a node calls, where the code tells which.
Function* callee(const Node* node) {
  if (node->kind() == prim::CallFunction) {
    const auto type = node->input(0)->type()->cast<c10::FunctionType>();
    return type ? type->function() : nullptr;
  }
  if (node->kind() == prim::CallMethod) {
    const auto type = node->input(0)->type()->cast<c10::ClassType>();
    return type ? type->findMethod(node->s(c10::attr::name)) : nullptr;
  }
  return nullptr;
}

/// Graphs in the attributes of a node: what it forks, or fuses.
std::vector<std::shared_ptr<torch::jit::Graph>> subgraphs(const Node* node) {
  std::vector<std::shared_ptr<torch::jit::Graph>> graphs;
  for (const c10::Symbol name : node->attributeNames()) {
    if (node->kindOf(name) == torch::jit::AttributeKind::g) graphs.push_back(node->g(name));
    if (node->kindOf(name) == torch::jit::AttributeKind::gs)
      graphs.insert(graphs.end(), node->gs(name).begin(), node->gs(name).end());
  }
  return graphs;
}

void insert_check(Block* block) {
  block->prependNode(block->owningGraph()->create(c10::Symbol::fromQualString(kCheckOperator), 0));
}

/// A check at the beginning of each loop's body.
void make_loops_interruptible(Block* block) {
  for (Node* node : block->nodes()) {
    for (Block* inner : node->blocks()) {
      make_loops_interruptible(inner);
      if (node->kind() == prim::Loop) insert_check(inner);
    }
    for (const auto& graph : subgraphs(node)) {
      make_loops_interruptible(graph->block());
      insert_check(graph->block());
    }
  }
}

std::string readable_name(const Function& function) {
  std::string name = function.qualname().qualifiedName();
  const std::string prefix = "__torch__.";
  if (name.rfind(prefix, 0) == 0) name = name.substr(prefix.size());
  return name;
}

}  // namespace

Code::Code(caffe2::serialize::PyTorchStreamReader& archive, const std::vector<c10::IValue>& constants,
           std::string model, bool trusted)
    : archive_(archive),
      model_(std::move(model)),
      trusted_(trusted),
      unit_(std::make_shared<torch::jit::CompilationUnit>()),
      importer_(
          unit_, &constants,
          [this](const std::string& qualifier) {
            const auto found = sources_.find(qualifier);
            return found == sources_.end() ? nullptr : found->second;
          },
          archive.version()) {
  read_sources();
  torch::jit::populate_upgraders_graph_map();
}

void Code::read_sources() {
  const std::string folder = "code/", end = ".py";
  size_t definitions = 0;
  ClassGraph classes;
  for (const std::string& path : archive_.getAllRecords()) {
    if (path.rfind(folder, 0) != 0 || path.size() < folder.size() + end.size() ||
        path.compare(path.size() - end.size(), end.size(), end) != 0)
      continue;
    std::string qualifier = path.substr(folder.size(), path.size() - folder.size() - end.size());
    std::replace(qualifier.begin(), qualifier.end(), '/', '.');
    const auto [data, size] = archive_.getRecord(path);
    const std::string text(static_cast<const char*>(data.get()), size);
    definitions += check_source(text, path);
    if (definitions > kMostDefinitions) throw Damaged("code: more functions and classes than tr0n compiles");
    auto source = std::make_shared<torch::jit::Source>(text, path, 1);
    check_classes(source, path, qualifier, classes);
    sources_.emplace(std::move(qualifier), std::move(source));
  }
  check_sizes(classes);
}

c10::TypePtr Code::type(const std::string& text) {
  check_source(text, "a type");
  c10::TypePtr found = importer_.loadType(c10::QualifiedName(text));
  if (!found) throw Damaged("a type that the archive does not define: " + text.substr(0, 100));
  check_type(found);
  if (!refused_.empty()) review();
  return found;
}

void Code::review() {
  // Compiling may define more.
  for (std::vector<Function*> all = unit_->get_functions(); reviewed_ < all.size();
       all = unit_->get_functions()) {
    for (; reviewed_ < all.size(); ++reviewed_) {
      Function& function = *all[reviewed_];
      function.ensure_defined();
      torch::jit::Graph* graph = graph_of(function);
      if (!graph) continue;
      for (const torch::jit::Value* input : graph->inputs()) check_type(input->type());
      check_block(graph->block(), function);
      make_loops_interruptible(graph->block());
      insert_check(graph->block());
    }
  }
  for (Function* function : unit_->get_functions()) measure(*function);
  if (refused_.empty()) return;
  std::string list;
  for (size_t i = 0; i < refused_.size() && i < kNamed; ++i) list += (i > 0 ? ", " : "") + refused_[i];
  if (refused_.size() > kNamed) list += " and " + std::to_string(refused_.size() - kNamed) + " more";
  throw Failure(
      "ERR_MODEL_CODE",
      model_ + ": the model's code uses " + list +
          ", which tr0n does not know to only compute on the model's own values; nothing of it was run. "
          "Files of TorchScript are programs. If you trust who made this one, allow it by allowCode: true "
          "(--allow-code); else export the model to ONNX, which is data");
}

void Code::refuse(const std::string& what, const Node* node, const Function& function) {
  if (trusted_ || !refused_names_.insert(what).second) return;
  std::string where = "in " + readable_name(function);
  if (node)
    if (const auto place = node->sourceRange().file_line_col())
      where += ", " + std::get<0>(*place) + ":" + std::to_string(std::get<1>(*place));
  refused_.push_back(what + " (" + where + ")");
}

void Code::check_type(const c10::TypePtr& type) {
  if (!checked_types_.insert(type.get()).second) return;
  if (const auto named = type->cast<c10::ClassType>()) {
    const std::string name = named->name() ? named->name()->qualifiedName() : "";
    if (name.rfind(kCustomClasses, 0) == 0) {
      const std::string known = "class " + name.substr(kCustomClasses.size());
      if (!trusted_ && !only_computes(known) && refused_names_.insert(known).second)
        refused_.push_back("the " + known + " of libtorch");
      return;
    }
    for (size_t i = 0; i < named->numAttributes(); ++i) check_type(named->getAttribute(i));
    return;
  }
  for (const c10::TypePtr& contained : type->containedTypes()) check_type(contained);
}

void Code::check_block(const Block* block, const Function& function) {
  for (const Node* node : block->nodes()) {
    check_node(node, function);
    for (const Block* inner : node->blocks()) check_block(inner, function);
    for (const auto& graph : subgraphs(node)) check_block(graph->block(), function);
  }
}

void Code::check_node(const Node* node, const Function& function) {
  for (const torch::jit::Value* output : node->outputs()) check_type(output->type());
  const std::string name = node->kind().toQualString();
  if (!only_computes(name)) return refuse(name, node, function);
  if (const torch::jit::Operator* op = node->maybeOperator()) {
    const std::string& overload = op->schema().overload_name();
    if (refused_overload(name + "." + overload)) return refuse(name + "." + overload, node, function);
  }
  if (node->kind() == prim::unchecked_cast && !harmless_cast(node))
    refuse(name + " to " + node->output()->type()->annotation_str(), node, function);
}

const Code::Size& Code::measure(Function& function) {
  const auto found = sizes_.find(&function);
  if (found != sizes_.end()) {
    if (!found->second.known) throw Damaged("code: " + readable_name(function) + " calls itself");
    return found->second;
  }
  sizes_[&function] = {};
  torch::jit::Graph* graph = graph_of(function);
  Size size = graph ? measure(graph->block()) : Size{1, 0, true};
  size.known = true;
  if (size.nodes > kMostNodes || size.depth > kDeepest)
    throw Damaged("code: " + readable_name(function) +
                  " would be too large, or too deep, with all that it calls in its place");
  return sizes_[&function] = size;
}

Code::Size Code::measure(const Block* block) {
  Size size;
  const auto add = [&size](const Size& part) {
    size.nodes += part.nodes;
    size.depth = std::max(size.depth, part.depth + 1);
  };
  for (const Node* node : block->nodes()) {
    size.nodes += 1;
    for (const Block* inner : node->blocks()) add(measure(inner));
    for (const auto& graph : subgraphs(node)) add(measure(graph->block()));
    if (Function* called = callee(node)) add(measure(*called));
  }
  return size;
}

}  // namespace tr0n::torchscript
