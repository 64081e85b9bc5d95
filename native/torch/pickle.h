#pragma once
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tr0n::torchscript::pickle {

/// What stands in a pickle: data only. Nothing is looked up, called or allocated by what the file says;
/// whoever makes something of a call or an object decides whether it may be.
struct Node {
  enum class Kind {
    none,
    boolean,
    integer,
    real,
    text,
    tuple,       ///< items
    list,        ///< items
    dictionary,  ///< items: key, value, key, value …
    global,      ///< text: "module name"
    call,        ///< items: the global, its arguments (a tuple, or one value)
    object,      ///< items: the global; and the state once it is known
    storage,     ///< items: of the tuple ("storage", type, key, device, elements)
  };
  explicit Node(Kind which) : kind(which) {}
  Kind kind;
  bool used = false;  ///< part of something else: what is in it is settled
  int depth = 1;      ///< levels below and with it
  int64_t integer = 0;
  double real = 0;
  std::string_view text;
  std::vector<Node*> items;

  bool is(Kind which) const { return kind == which; }
  bool is_global(std::string_view name) const { return kind == Kind::global && text == name; }
};

/// Reads what libtorch writes into archives of TorchScript (protocol 2, and of it what its pickler uses).
/// Stricter than libtorch's own reader, which trusts positions, counts and kinds: everything is checked,
/// nothing refers to itself, and nesting is bounded, so that recursion over a document is safe.
class Document {
 public:
  /// `bytes` must outlive the document. `name` is the record's, for messages. Throws Damaged.
  Document(std::string_view bytes, std::string name);
  const Node& root() const { return *root_; }
  const std::string& name() const { return name_; }

 private:
  class Reader;
  std::string name_;
  std::deque<Node> nodes_;
  std::deque<std::string> texts_;  ///< names of globals
  Node* root_ = nullptr;
};

}  // namespace tr0n::torchscript::pickle
