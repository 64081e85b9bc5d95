#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace tr0n::provider {

/// A message in protobuf's wire format that is being written.
class Message {
 public:
  void integer(unsigned field, int64_t value) {
    key(field, 0);
    varint(static_cast<uint64_t>(value));
  }
  void number(unsigned field, float value) {
    key(field, 5);
    char bits[4];
    std::memcpy(bits, &value, 4);
    bytes_.append(bits, 4);
  }
  void bytes(unsigned field, std::string_view value) {
    key(field, 2);
    varint(value.size());
    bytes_.append(value);
  }
  void message(unsigned field, const Message& value) { bytes(field, value.bytes_); }
  const std::string& text() const { return bytes_; }

 private:
  void key(unsigned field, unsigned wire) { varint(field << 3 | wire); }
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }
  std::string bytes_;
};

}  // namespace tr0n::provider
