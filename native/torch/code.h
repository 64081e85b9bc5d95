#pragma once
#include <torch/csrc/jit/serialization/import_source.h>
#include <torch/script.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace caffe2::serialize {
class PyTorchStreamReader;
}

namespace tr0n::torchscript {

/// The code of an archive. It is compiled as the archive's objects ask for their classes, and nothing of it
/// runs before review() has read all that was compiled.
///
/// libtorch's compiler recurses over what it reads: whoever uses this has a deep stack (deep_stack.h).
class Code {
 public:
  /// `constants` is filled by the caller, before the first class is asked for. With `trusted` operators are
  /// not held against the list. Throws Damaged for code that libtorch's compiler would not survive.
  Code(caffe2::serialize::PyTorchStreamReader& archive, const std::vector<c10::IValue>& constants,
       std::string model, bool trusted);

  const std::shared_ptr<torch::jit::CompilationUnit>& unit() const { return unit_; }
  /// A type by how it is written; compiles it. Throws Damaged, and what libtorch's compiler throws.
  c10::TypePtr type(const std::string& text);
  /// Reads every function that was compiled since the last call: each operator must be on the list of those
  /// that only compute (operators.txt), and what is called again and again gets a place where it can be
  /// interrupted. Throws Failure ERR_MODEL_CODE naming operators and where they stand, Damaged for code that
  /// would blow up.
  void review();

 private:
  struct Size {
    double nodes = 0;  ///< once all calls are inlined
    int depth = 0;     ///< of calls and blocks within each other
    bool known = false;
  };
  void read_sources();
  void check_type(const c10::TypePtr& type);
  void check_block(const torch::jit::Block* block, const torch::jit::Function& function);
  void check_node(const torch::jit::Node* node, const torch::jit::Function& function);
  void refuse(const std::string& what, const torch::jit::Node* node, const torch::jit::Function& function);
  const Size& measure(torch::jit::Function& function);
  Size measure(const torch::jit::Block* block);

  caffe2::serialize::PyTorchStreamReader& archive_;
  const std::string model_;
  const bool trusted_;
  std::shared_ptr<torch::jit::CompilationUnit> unit_;
  torch::jit::SourceImporter importer_;
  size_t reviewed_ = 0;                                                 ///< functions of the unit
  std::map<std::string, std::shared_ptr<torch::jit::Source>> sources_;  ///< by qualifier
  std::vector<std::string> refused_;  ///< "aten::from_file (in Reader.forward, code/__torch__.py:7)"
  std::set<std::string> refused_names_;
  std::map<const torch::jit::Function*, Size> sizes_;
  std::set<const c10::Type*> checked_types_;
};

}  // namespace tr0n::torchscript
