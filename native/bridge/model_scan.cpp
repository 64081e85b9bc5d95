#include "bridge/model_scan.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "base/error.h"

namespace tr0n {
namespace {

/// Messages of onnx.proto that lead to constants.
enum class Message { model, training, function, graph, node, attribute, sparse_tensor, tensor };

struct Child {
  uint32_t field;
  Message message;
};

/// The fields of a message that hold such messages.
std::pair<const Child*, size_t> children(Message message) {
  static constexpr std::array<Child, 3> kModel{
      {{7, Message::graph}, {20, Message::training}, {25, Message::function}}};
  static constexpr std::array<Child, 2> kTraining{{{1, Message::graph}, {2, Message::graph}}};
  static constexpr std::array<Child, 2> kFunction{{{7, Message::node}, {11, Message::attribute}}};
  static constexpr std::array<Child, 3> kGraph{
      {{1, Message::node}, {5, Message::tensor}, {15, Message::sparse_tensor}}};
  static constexpr std::array<Child, 1> kNode{{{5, Message::attribute}}};
  static constexpr std::array<Child, 6> kAttribute{{{5, Message::tensor},
                                                    {6, Message::graph},
                                                    {10, Message::tensor},
                                                    {11, Message::graph},
                                                    {22, Message::sparse_tensor},
                                                    {23, Message::sparse_tensor}}};
  static constexpr std::array<Child, 2> kSparse{{{1, Message::tensor}, {2, Message::tensor}}};
  switch (message) {
    case Message::model:
      return {kModel.data(), kModel.size()};
    case Message::training:
      return {kTraining.data(), kTraining.size()};
    case Message::function:
      return {kFunction.data(), kFunction.size()};
    case Message::graph:
      return {kGraph.data(), kGraph.size()};
    case Message::node:
      return {kNode.data(), kNode.size()};
    case Message::attribute:
      return {kAttribute.data(), kAttribute.size()};
    case Message::sparse_tensor:
      return {kSparse.data(), kSparse.size()};
    case Message::tensor:
      return {nullptr, 0};
  }
  return {nullptr, 0};
}

// Of TensorProto.
constexpr uint32_t kTensorName = 8, kDataLocation = 14;
constexpr int32_t kExternal = 1;
/// Of a name in a message to the user.
constexpr size_t kLongestName = 200;
/// Protobuf itself allows 100.
constexpr int kDeepest = 120;

enum Wire : uint32_t { kVarint = 0, kFixed64 = 1, kLength = 2, kGroup = 3, kGroupEnd = 4, kFixed32 = 5 };

/// Walks through messages in the wire format, through a small window of the bytes.
class Scan {
 public:
  Scan(const ModelBytes& bytes, const std::string& name) : bytes_(bytes), name_(name) {}

  std::optional<std::string> run() {
    message(Message::model, bytes_.size, 0);
    return found_;
  }

 private:
  [[noreturn]] void fail(const char* why) const {
    throw Error("ERR_MODEL_INVALID", name_ + ": expected an ONNX model, got " + std::to_string(bytes_.size) +
                                         " bytes that are truncated, damaged or something else: at byte " +
                                         std::to_string(at_) + " " + why);
  }

  uint8_t byte(size_t end) {
    if (at_ >= end) fail("a field ends early");
    if (at_ < window_begin_ || at_ >= window_end_) {
      window_begin_ = at_;
      window_end_ = std::min(bytes_.size, at_ + window_.size());
      bytes_.read(window_.data(), window_begin_, window_end_ - window_begin_);
    }
    return static_cast<uint8_t>(window_[at_++ - window_begin_]);
  }

  /// Up to ten bytes, the shortest form or not.
  uint64_t varint(size_t end) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
      const uint8_t next = byte(end);
      if (shift < 64) value |= static_cast<uint64_t>(next & 0x7f) << shift;
      if (next < 0x80) return value;
    }
    fail("a number has over ten bytes");
  }

  /// The end of a length-delimited field that begins here.
  size_t field_end(size_t end) {
    const uint64_t length = varint(end);
    if (length > end - at_) fail("a field is longer than what it is part of");
    return at_ + static_cast<size_t>(length);
  }

  void skip_fixed(size_t bytes, size_t end) {
    if (bytes > end - at_) fail("a field ends early");
    at_ += bytes;
  }

  void skip(uint32_t wire, uint32_t field, size_t end, int depth) {
    switch (wire) {
      case kVarint:
        varint(end);
        return;
      case kFixed64:
        return skip_fixed(8, end);
      case kLength:
        at_ = field_end(end);
        return;
      case kGroup:
        return group(field, end, depth + 1);
      case kFixed32:
        return skip_fixed(4, end);
      default:
        fail("a field has no type");
    }
  }

  std::pair<uint32_t, uint32_t> tag(size_t end) {
    const auto value = static_cast<uint32_t>(varint(end));
    if (value >> 3 == 0) fail("a field has the number 0");
    return {value >> 3, value & 7};
  }

  /// A group, which no field of ONNX is: legal as a field that nobody knows.
  void group(uint32_t field, size_t end, int depth) {
    if (depth > kDeepest) fail("messages are nested too deeply");
    for (;;) {
      const auto [inner, wire] = tag(end);
      if (wire == kGroupEnd) {
        if (inner != field) fail("a group ends that has not begun");
        return;
      }
      skip(wire, inner, end, depth);
    }
  }

  void message(Message kind, size_t end, int depth) {
    if (depth > kDeepest) fail("messages are nested too deeply");
    if (kind == Message::tensor) return tensor(end, depth);
    const auto [first, count] = children(kind);
    while (at_ < end && !found_) {
      const auto [field, wire] = tag(end);
      const Child* child =
          std::find_if(first, first + count, [f = field](const Child& c) { return c.field == f; });
      if (wire != kLength || child == first + count) {
        skip(wire, field, end, depth);
        continue;
      }
      const size_t stop = field_end(end);
      message(child->message, stop, depth + 1);
    }
  }

  void tensor(size_t end, int depth) {
    std::string name;
    bool external = false;
    while (at_ < end) {
      const auto [field, wire] = tag(end);
      if (field == kDataLocation && wire == kVarint) {
        // An enumeration is 32 bits of its number.
        external |= static_cast<int32_t>(varint(end)) == kExternal;
      } else if (field == kTensorName && wire == kLength) {
        const size_t stop = field_end(end);
        name.resize(std::min(stop - at_, kLongestName));
        if (!name.empty()) bytes_.read(name.data(), at_, name.size());
        at_ = stop;
      } else {
        skip(wire, field, end, depth);
      }
    }
    if (external) found_ = name;
  }

  const ModelBytes& bytes_;
  const std::string& name_;
  size_t at_ = 0, window_begin_ = 0, window_end_ = 0;
  std::array<char, 16384> window_{};
  std::optional<std::string> found_;
};

}  // namespace

ModelBytes memory_bytes(const void* bytes, size_t size) {
  const auto* begin = static_cast<const char*>(bytes);
  return {size, [begin](char* into, size_t at, size_t count) { std::memcpy(into, begin + at, count); }};
}

ModelBytes file_bytes(const OpenedFile& file) {
  return {file.size(), [&file](char* into, size_t at, size_t count) { file.read(into, at, count); }};
}

std::optional<std::string> external_constant(const ModelBytes& bytes, const std::string& name) {
  return Scan(bytes, name).run();
}

}  // namespace tr0n
