#include "torch/values.h"

#include <ATen/core/enum_type.h>

#include "torch/code.h"
#include "torch/errors.h"

namespace tr0n::torchscript {
namespace {

using pickle::Node;
using Kind = Node::Kind;
using c10::TypeKind;

const char* kind_name(const Node& node) {
  switch (node.kind) {
    case Kind::none:
      return "None";
    case Kind::boolean:
      return "a bool";
    case Kind::integer:
      return "an integer";
    case Kind::real:
      return "a float";
    case Kind::text:
      return "a string";
    case Kind::tuple:
      return "a tuple";
    case Kind::list:
      return "a list";
    case Kind::dictionary:
      return "a dictionary";
    case Kind::object:
      return "an object";
    case Kind::call:
      return Storages::makes_tensor(node) ? "a tensor" : "a call";
    default:
      return "a reference";
  }
}

[[noreturn]] void unlike(const Node& node, const c10::Type& type, const std::string& place) {
  throw Damaged(place + ": expected " + type.annotation_str() + ", got " + kind_name(node));
}

const Node* argument(const Node& call, size_t index) {
  const Node& arguments = *call.items[1];
  return arguments.is(Kind::tuple) && index < arguments.items.size() ? arguments.items[index] : nullptr;
}

bool calls(const Node& node, std::string_view name) {
  return node.is(Kind::call) && node.items[0]->is_global(name);
}

/// What libtorch writes around lists and dictionaries to say what they are of.
struct Wrapped {
  const char* name;
  c10::TypePtr element;  ///< null: a text says it
};
const Wrapped* wrapping(const Node& node) {
  static const auto* all = new std::vector<Wrapped>{
      {"torch.jit._pickle restore_type_tag", nullptr},
      {"torch.jit._pickle build_intlist", c10::IntType::get()},
      {"torch.jit._pickle build_doublelist", c10::FloatType::get()},
      {"torch.jit._pickle build_boollist", c10::BoolType::get()},
      {"torch.jit._pickle build_tensorlist", c10::TensorType::get()},
  };
  for (const Wrapped& each : *all)
    if (calls(node, each.name)) return &each;
  return nullptr;
}
const Node& unwrapped(const Node& node) {
  if (!wrapping(node)) return node;
  const Node* inner = argument(node, 0);
  return inner ? *inner : node;
}

/// "module name" as a qualified name.
std::string qualified(const Node& global) {
  std::string name(global.text);
  name[name.find(' ')] = '.';
  return name;
}

}  // namespace

c10::IValue Values::make(const Node& node, const c10::TypePtr& type, const std::string& place) {
  if (node.items.empty()) return make_anew(node, type, place);
  for (const auto& [known, value] : made_[&node])
    if (*known == *type) return value;
  c10::IValue value = make_anew(node, type, place);
  made_[&node].emplace_back(type, value);
  return value;
}

c10::IValue Values::make_anew(const Node& node, const c10::TypePtr& type, const std::string& place) {
  const auto need = [&](bool fits) {
    if (!fits) unlike(node, *type, place);
  };
  switch (type->kind()) {
    case TypeKind::TensorType:
      if (node.is(Kind::none)) return at::Tensor();
      need(Storages::makes_tensor(node));
      return storages_.tensor(node, place);
    case TypeKind::OptionalType:
      if (node.is(Kind::none)) return {};
      return make(node, type->containedType(0), place);
    case TypeKind::NoneType:
      need(node.is(Kind::none));
      return {};
    case TypeKind::BoolType:
    case TypeKind::IntType:
    case TypeKind::FloatType:
    case TypeKind::ComplexType:
    case TypeKind::NumberType:
      return number(node, type, place);
    case TypeKind::StringType:
      need(node.is(Kind::text));
      return std::string(node.text);
    case TypeKind::DeviceObjType: {
      const Node* name = calls(node, "torch device") ? argument(node, 0) : nullptr;
      need(name && name->is(Kind::text));
      return c10::Device(std::string(name->text));
    }
    case TypeKind::TupleType:
      return tuple(node, type, place);
    case TypeKind::ListType:
      return list(node, type->containedType(0), place);
    case TypeKind::DictType:
      return dictionary(node, type, place);
    case TypeKind::ClassType:
    case TypeKind::InterfaceType:
      return object(node, type, place);
    case TypeKind::EnumType:
      return enumeration(node, type, place);
    case TypeKind::AnyType:
      return guess(node, place);
    default: {
      c10::IValue value = guess(node, place);
      need(value.type()->isSubtypeOf(*type));
      return value;
    }
  }
}

c10::IValue Values::guess(const Node& node, const std::string& place) {
  switch (node.kind) {
    case Kind::none:
      return {};
    case Kind::boolean:
    case Kind::integer:
    case Kind::real:
      return number(node, c10::NumberType::get(), place);
    case Kind::text:
      return std::string(node.text);
    case Kind::tuple: {
      std::vector<c10::IValue> items;
      for (size_t i = 0; i < node.items.size(); ++i)
        items.push_back(make(*node.items[i], c10::AnyType::get(), place + "[" + std::to_string(i) + "]"));
      return c10::ivalue::Tuple::create(std::move(items));
    }
    case Kind::list:
      return list(node, c10::AnyType::get(), place);
    case Kind::dictionary:
      return dictionary(node, c10::DictType::create(c10::AnyType::get(), c10::AnyType::get()), place);
    case Kind::object:
      return object(node, c10::AnyType::get(), place);
    case Kind::call:
      break;
    default:
      throw Damaged(place + ": expected a value, got " + kind_name(node));
  }
  if (Storages::makes_tensor(node)) return make(node, c10::TensorType::get(), place);
  if (const Wrapped* wrapped = wrapping(node)) {
    if (wrapped->element) return list(node, wrapped->element, place);
    const Node* tag = argument(node, 1);
    if (!tag || !tag->is(Kind::text)) throw Damaged(place + ": expected a type");
    const c10::TypePtr type = code_.type(std::string(tag->text));
    if (type->kind() != TypeKind::ListType && type->kind() != TypeKind::DictType) unlike(node, *type, place);
    return make(node, type, place);
  }
  if (calls(node, "builtins complex")) return number(node, c10::ComplexType::get(), place);
  if (calls(node, "torch device")) return make(node, c10::DeviceObjType::get(), place);
  if (node.items[0]->text.substr(0, 9) == "__torch__") {
    const c10::TypePtr type = code_.type(qualified(*node.items[0]));
    if (type->kind() == TypeKind::EnumType) return enumeration(node, type, place);
  }
  throw Damaged(place + ": a call of \"" + std::string(node.items[0]->text) +
                "\", which libtorch does not write");
}

c10::IValue Values::number(const Node& node, const c10::TypePtr& type, const std::string& place) {
  const TypeKind kind = type->kind();
  const bool any = kind == TypeKind::NumberType;
  if (node.is(Kind::boolean) && (any || kind == TypeKind::BoolType)) return node.integer != 0;
  if (node.is(Kind::integer) && (any || kind == TypeKind::IntType)) return node.integer;
  if (node.is(Kind::real) && (any || kind == TypeKind::FloatType)) return node.real;
  if (calls(node, "builtins complex") && (any || kind == TypeKind::ComplexType)) {
    const Node *re = argument(node, 0), *im = argument(node, 1);
    if (re && im && re->is(Kind::real) && im->is(Kind::real)) return c10::complex<double>(re->real, im->real);
  }
  unlike(node, *type, place);
}

c10::IValue Values::tuple(const Node& node, const c10::TypePtr& type, const std::string& place) {
  const auto& contained = type->containedTypes();
  if (!node.is(Kind::tuple) || node.items.size() != contained.size()) unlike(node, *type, place);
  std::vector<c10::IValue> items;
  for (size_t i = 0; i < node.items.size(); ++i)
    items.push_back(make(*node.items[i], contained[i], place + "[" + std::to_string(i) + "]"));
  return c10::ivalue::Tuple::createNamed(std::move(items), type->cast<c10::TupleType>());
}

c10::IValue Values::list(const Node& node, const c10::TypePtr& element, const std::string& place) {
  const Node& content = unwrapped(node);
  if (!content.is(Kind::list)) unlike(node, *c10::ListType::create(element), place);
  c10::impl::GenericList made(element);
  made.reserve(content.items.size());
  for (size_t i = 0; i < content.items.size(); ++i)
    made.push_back(make(*content.items[i], element, place + "[" + std::to_string(i) + "]"));
  return made;
}

c10::IValue Values::dictionary(const Node& node, const c10::TypePtr& type, const std::string& place) {
  const Node& content = unwrapped(node);
  if (!content.is(Kind::dictionary)) unlike(node, *type, place);
  const c10::TypePtr key = type->containedType(0), value = type->containedType(1);
  c10::impl::GenericDict made(key, value);
  for (size_t i = 0; i + 1 < content.items.size(); i += 2)
    made.insert_or_assign(make(*content.items[i], key, place + ", a key"),
                          make(*content.items[i + 1], value, place + "[" + std::to_string(i / 2) + "]"));
  return made;
}

c10::IValue Values::object(const Node& node, const c10::TypePtr& type, const std::string& place) {
  if (!node.is(Kind::object) || node.items.size() != 2) unlike(node, *type, place);
  const std::string name = qualified(*node.items[0]);
  const c10::TypePtr found = code_.type(name);
  const auto itself = found->cast<c10::ClassType>();
  if (!itself) throw Damaged(place + ": expected a class, \"" + name + "\" is none");
  if (!found->isSubtypeOf(*type))
    throw Damaged(place + ": expected " + type->annotation_str() + ", got a " + name);
  const auto made =
      c10::ivalue::Object::create(c10::StrongTypePtr(code_.unit(), itself), itself->numAttributes());
  if (itself->findMethod("__getstate__") && itself->findMethod("__setstate__"))
    set_state(made, itself, *node.items[1], place);
  else
    fill_slots(made, itself, *node.items[1], place);
  return made;
}

void Values::set_state(const c10::intrusive_ptr<c10::ivalue::Object>& made, const c10::ClassTypePtr& type,
                       const Node& state, const std::string& place) {
  torch::jit::Function& method = type->getMethod("__setstate__");
  const auto& arguments = method.getSchema().arguments();
  if (arguments.size() != 2) throw Damaged(place + ": expected __setstate__ with one argument");
  c10::IValue value = make(state, arguments[1].type(), place + ".__setstate__");
  code_.review();
  const torch::jit::GraphOptimizerEnabledGuard plain(false);
  method({made, std::move(value)});
  // What was not set would be read as whatever is declared.
  for (size_t i = 0; i < type->numAttributes(); ++i)
    if (!made->getSlot(i).type()->isSubtypeOf(*type->getAttribute(i)))
      throw Damaged(place + ": __setstate__ left \"" + type->getAttributeName(i) + "\" unset");
}

void Values::fill_slots(const c10::intrusive_ptr<c10::ivalue::Object>& made, const c10::ClassTypePtr& type,
                        const Node& state, const std::string& place) {
  if (!state.is(Kind::dictionary)) throw Damaged(place + ": expected the attributes of an object");
  std::map<std::string_view, const Node*> attributes;
  for (size_t i = 0; i + 1 < state.items.size(); i += 2) {
    if (!state.items[i]->is(Kind::text)) throw Damaged(place + ": expected the names of attributes");
    attributes[state.items[i]->text] = state.items[i + 1];
  }
  for (size_t i = 0; i < type->numAttributes(); ++i) {
    const std::string& name = type->getAttributeName(i);
    const auto found = attributes.find(name);
    const std::string inner = std::string(place).append(".").append(name);
    if (found == attributes.end()) throw Damaged(inner + ": the attribute is missing");
    made->setSlot(i, make(*found->second, type->getAttribute(i), inner));
  }
}

c10::IValue Values::enumeration(const Node& node, const c10::TypePtr& type, const std::string& place) {
  if (!node.is(Kind::call)) unlike(node, *type, place);
  const c10::TypePtr found = code_.type(qualified(*node.items[0]));
  const auto kind = found->cast<c10::EnumType>();
  if (!kind || !found->isSubtypeOf(*type)) unlike(node, *type, place);
  const c10::IValue value = make(*node.items[1], kind->getValueType(), place);
  for (const auto& [name, known] : kind->enumNamesValues())
    if (known == value) return c10::IValue(c10::make_intrusive<c10::ivalue::EnumHolder>(kind, name, known));
  throw Damaged(place + ": a value that " + kind->annotation_str() + " does not have");
}

}  // namespace tr0n::torchscript
