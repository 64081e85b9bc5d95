#include "torch/pickle.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "torch/errors.h"

namespace tr0n::torchscript::pickle {
namespace {

using Kind = Node::Kind;

/// Modules within modules come to some tens.
constexpr int kDeepest = 400;

}  // namespace

class Document::Reader {
 public:
  Reader(Document& document, std::string_view bytes) : document_(document), bytes_(bytes) {}

  Node* read() {
    if (byte() != 0x80 || byte() != 2) fail("expected a pickle of protocol 2");
    while (step()) {
    }
    if (stack_.size() != 1 || !marks_.empty()) fail("expected one value at the end");
    return stack_[0];
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Damaged(document_.name_ + ": " + what + ", at byte " + std::to_string(at_));
  }

  // ---- bytes

  std::string_view take(size_t count) {
    if (count > bytes_.size() - at_) fail("the pickle ends early");
    const std::string_view part = bytes_.substr(at_, count);
    at_ += count;
    return part;
  }
  uint8_t byte() { return static_cast<uint8_t>(take(1)[0]); }
  /// Little endian.
  template <class Number>
  Number number() {
    Number value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  double big_endian_real() {
    const std::string_view part = take(8);
    uint64_t bits = 0;
    for (const char c : part) bits = bits << 8 | static_cast<uint8_t>(c);
    double value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }
  std::string_view line() {
    const size_t end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) fail("the pickle ends early");
    const std::string_view part = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return part;
  }

  // ---- the stack

  Node* push(Kind kind) {
    document_.nodes_.emplace_back(kind);
    stack_.push_back(&document_.nodes_.back());
    return stack_.back();
  }
  void push_integer(int64_t value) { push(Kind::integer)->integer = value; }
  size_t bottom() const { return marks_.empty() ? 0 : marks_.back(); }
  Node* pop() {
    if (stack_.size() <= bottom()) fail("a value is missing");
    Node* top = stack_.back();
    stack_.pop_back();
    return top;
  }
  /// What was pushed since the last mark.
  std::vector<Node*> pop_marked() {
    if (marks_.empty()) fail("a mark is missing");
    const auto from = stack_.begin() + static_cast<ptrdiff_t>(marks_.back());
    std::vector<Node*> values(from, stack_.end());
    stack_.erase(from, stack_.end());
    marks_.pop_back();
    return values;
  }
  void put_into(Node* whole, Node* part) {
    if (part == whole) fail("a value contains itself");
    part->used = true;
    whole->depth = std::max(whole->depth, part->depth + 1);
    if (whole->depth > kDeepest) fail("values are nested too deeply");
    whole->items.push_back(part);
  }
  void push_tuple(const std::vector<Node*>& values) {
    Node* tuple = push(Kind::tuple);
    for (Node* value : values) put_into(tuple, value);
  }
  void push_tuple(size_t count) {
    std::vector<Node*> values(count);
    for (size_t i = count; i-- > 0;) values[i] = pop();
    push_tuple(values);
  }
  /// A container is filled once, before anything refers to it: that is how none comes to contain itself.
  void fill(Kind kind, const char* what) {
    const std::vector<Node*> values = pop_marked();
    if (stack_.size() <= bottom()) fail("a value is missing");
    Node* container = stack_.back();
    if (!container->is(kind) || container->used || !container->items.empty())
      fail(std::string("expected a new ") + what + " to fill");
    if (kind == Kind::dictionary && values.size() % 2 != 0) fail("a key without a value");
    for (Node* value : values) put_into(container, value);
  }
  void remember(uint32_t id) {
    if (stack_.size() <= bottom()) fail("a value is missing");
    memo_[id] = stack_.back();
  }
  void recall(uint32_t id) {
    const auto found = memo_.find(id);
    if (found == memo_.end()) fail("a value is referred to that there is not");
    stack_.push_back(found->second);
  }

  // ---- instructions

  void reduce() {
    Node* arguments = pop();
    Node* callee = pop();
    if (!callee->is(Kind::global)) fail("expected a name to call");
    Node* call = push(Kind::call);
    put_into(call, callee);
    put_into(call, arguments);
  }
  void new_object() {
    Node* arguments = pop();
    Node* type = pop();
    if (!type->is(Kind::global) || !arguments->is(Kind::tuple) || !arguments->items.empty())
      fail("expected a class without arguments");
    put_into(push(Kind::object), type);
  }
  void build() {
    Node* state = pop();
    if (stack_.size() <= bottom()) fail("a value is missing");
    Node* object = stack_.back();
    if (!object->is(Kind::object) || object->used || object->items.size() != 1)
      fail("expected a new object to build");
    put_into(object, state);
  }
  void storage() {
    Node* tuple = pop();
    if (!tuple->is(Kind::tuple) || tuple->items.size() != 5 || !tuple->items[0]->is(Kind::text) ||
        tuple->items[0]->text != "storage" || !tuple->items[1]->is(Kind::global) ||
        !tuple->items[2]->is(Kind::text) || !tuple->items[3]->is(Kind::text) ||
        !tuple->items[4]->is(Kind::integer))
      fail("expected a reference to a storage");
    Node* node = push(Kind::storage);
    for (Node* item : tuple->items) put_into(node, item);
  }
  void global() {
    std::string name(line());
    name += ' ';
    name += line();
    document_.texts_.push_back(std::move(name));
    push(Kind::global)->text = document_.texts_.back();
  }

  /// False at the end.
  bool step() {
    const uint8_t code = byte();
    switch (code) {
      case '.':
        return false;
      case '(':
        marks_.push_back(stack_.size());
        break;
      case 'N':
        push(Kind::none);
        break;
      case 0x88:
      case 0x89:
        push(Kind::boolean)->integer = code == 0x88;
        break;
      case 'K':
        push_integer(byte());
        break;
      case 'M':
        push_integer(number<uint16_t>());
        break;
      case 'J':
        push_integer(number<int32_t>());
        break;
      case 0x8a:
        if (byte() != 8) fail("expected an integer of 8 bytes");
        push_integer(number<int64_t>());
        break;
      case 'G':
        push(Kind::real)->real = big_endian_real();
        break;
      case 'X': {
        const auto length = number<uint32_t>();
        push(Kind::text)->text = take(length);
        break;
      }
      case ')':
        push(Kind::tuple);
        break;
      case 0x85:
      case 0x86:
      case 0x87:
        push_tuple(size_t{code} - 0x84);
        break;
      case 't':
        push_tuple(pop_marked());
        break;
      case ']':
        push(Kind::list);
        break;
      case 'e':
        fill(Kind::list, "list");
        break;
      case '}':
        push(Kind::dictionary);
        break;
      case 'u':
        fill(Kind::dictionary, "dictionary");
        break;
      case 'q':
        remember(byte());
        break;
      case 'r':
        remember(number<uint32_t>());
        break;
      case 'h':
        recall(byte());
        break;
      case 'j':
        recall(number<uint32_t>());
        break;
      case 'c':
        global();
        break;
      case 'R':
        reduce();
        break;
      case 0x81:
        new_object();
        break;
      case 'b':
        build();
        break;
      case 'Q':
        storage();
        break;
      default:
        fail("an instruction that libtorch does not write (" + std::to_string(code) + ")");
    }
    return true;
  }

  Document& document_;
  const std::string_view bytes_;
  size_t at_ = 0;
  std::vector<Node*> stack_;
  std::vector<size_t> marks_;
  std::map<uint32_t, Node*> memo_;
};

Document::Document(std::string_view bytes, std::string name) : name_(std::move(name)) {
  root_ = Reader(*this, bytes).read();
}

}  // namespace tr0n::torchscript::pickle
