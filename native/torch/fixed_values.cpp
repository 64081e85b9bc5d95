#include "torch/fixed_values.h"

#include <algorithm>

namespace tr0n::torchscript {

using torch::jit::Node;
using torch::jit::Value;
namespace prim = c10::prim;

std::optional<c10::IValue> Fixed::value(const Value* value) const {
  if (value == self_) return module_._ivalue();
  const Node* node = value->node();
  if (node->kind() == prim::Constant) return torch::jit::toIValue(value);
  if (node->kind() == prim::GetAttr) {
    const auto object = this->value(node->input(0));
    if (!object || !object->isObject()) return std::nullopt;
    const auto slot = object->toObject()->type()->findAttributeSlot(node->s(c10::attr::name));
    return slot ? std::optional(object->toObject()->getSlot(*slot)) : std::nullopt;
  }
  return std::nullopt;
}

std::optional<int64_t> Fixed::integer(const Value* source) const {
  const auto found = value(source);
  return found && found->isInt() ? std::optional(found->toInt()) : std::nullopt;
}

std::optional<bool> Fixed::boolean(const Value* source) const {
  const auto found = value(source);
  return found && found->isBool() ? std::optional(found->toBool()) : std::nullopt;
}

std::optional<std::vector<int64_t>> Fixed::integers(const Value* source) const {
  if (const auto found = value(source)) {
    if (found->isIntList()) return found->toIntVector();
    return std::nullopt;
  }
  if (source->node()->kind() != prim::ListConstruct) return std::nullopt;
  std::vector<int64_t> list;
  for (const Value* element : source->node()->inputs()) list.push_back(integer(element).value_or(-1));
  return list;
}

std::optional<std::vector<int64_t>> Fixed::sizes(const Value* source) const {
  if (source->node()->kind() == c10::aten::t) {
    auto inner = sizes(source->node()->input(0));
    if (inner) std::reverse(inner->begin(), inner->end());
    return inner;
  }
  const auto found = value(source);
  if (!found || !found->isTensor() || !found->toTensor().defined()) return std::nullopt;
  return found->toTensor().sizes().vec();
}

}  // namespace tr0n::torchscript
