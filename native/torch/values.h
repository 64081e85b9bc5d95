#pragma once
#include <torch/script.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "torch/pickle.h"
#include "torch/storages.h"

namespace tr0n::torchscript {

class Code;

/// Makes the values that a pickle describes. Every value is held against the type that the code declares for
/// it: the interpreter does not look again, and would take the slots of one class for those of another.
class Values {
 public:
  Values(const pickle::Document& document, Storages& storages, Code& code)
      : document_(document), storages_(storages), code_(code) {}

  /// Throws Damaged; Failure for what is not supported, and for code that is refused; what `__setstate__`
  /// throws.
  c10::IValue root(const c10::TypePtr& type) { return make(document_.root(), type, document_.name()); }

 private:
  c10::IValue make(const pickle::Node& node, const c10::TypePtr& type, const std::string& place);
  c10::IValue make_anew(const pickle::Node& node, const c10::TypePtr& type, const std::string& place);
  /// By what the pickle says alone.
  c10::IValue guess(const pickle::Node& node, const std::string& place);
  c10::IValue number(const pickle::Node& node, const c10::TypePtr& type, const std::string& place);
  c10::IValue tuple(const pickle::Node& node, const c10::TypePtr& type, const std::string& place);
  c10::IValue list(const pickle::Node& node, const c10::TypePtr& element, const std::string& place);
  c10::IValue dictionary(const pickle::Node& node, const c10::TypePtr& type, const std::string& place);
  c10::IValue object(const pickle::Node& node, const c10::TypePtr& type, const std::string& place);
  c10::IValue enumeration(const pickle::Node& node, const c10::TypePtr& type, const std::string& place);
  void set_state(const c10::intrusive_ptr<c10::ivalue::Object>& made, const c10::ClassTypePtr& type,
                 const pickle::Node& state, const std::string& place);
  void fill_slots(const c10::intrusive_ptr<c10::ivalue::Object>& made, const c10::ClassTypePtr& type,
                  const pickle::Node& state, const std::string& place);

  const pickle::Document& document_;
  Storages& storages_;
  Code& code_;
  /// What has been made of a node, by type: values that were one are one again.
  std::map<const pickle::Node*, std::vector<std::pair<c10::TypePtr, c10::IValue>>> made_;
};

}  // namespace tr0n::torchscript
