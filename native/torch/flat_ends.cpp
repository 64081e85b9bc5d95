#include "torch/flat_ends.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <set>
#include <unordered_set>

namespace tr0n::torchscript {
namespace {

using torch::autograd::Node;

/// "SignBackward0" → "sign" for the functions that libtorch gives a gradient of zeros; else "".
std::string flat_name(const Node& node) {
  static const std::set<std::string> flat = {"Sign", "Round", "Floor", "Ceil", "Trunc", "Bernoulli"};
  std::string name = node.name();
  if (const size_t space = name.rfind(':'); space != std::string::npos) name.erase(0, space + 1);
  const size_t end = name.find("Backward");
  if (end == std::string::npos || flat.count(name.substr(0, end)) == 0) return "";
  name.resize(end);
  name[0] = static_cast<char>(name[0] - 'A' + 'a');
  return name;
}

}  // namespace

std::string flat_ends(const std::vector<at::Tensor>& roots, const std::vector<at::Tensor>& leaves) {
  std::unordered_set<const Node*> wanted, seen;
  for (const at::Tensor& leaf : leaves)
    wanted.insert(torch::autograd::impl::gradient_edge(leaf).function.get());
  std::vector<const Node*> open;
  const auto visit = [&](const Node* node) {
    if (node && seen.insert(node).second) open.push_back(node);
  };
  for (const at::Tensor& root : roots) visit(torch::autograd::impl::gradient_edge(root).function.get());
  std::set<std::string> ends;
  while (!open.empty()) {
    const Node* node = open.back();
    open.pop_back();
    if (wanted.count(node) != 0) return "";
    if (std::string name = flat_name(*node); !name.empty()) {
      ends.insert(std::move(name));
      continue;
    }
    for (const torch::autograd::Edge& edge : node->next_edges()) visit(edge.function.get());
  }
  std::string text;
  for (const std::string& name : ends) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace tr0n::torchscript
