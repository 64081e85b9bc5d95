#pragma once
#include <string>
#include <string_view>

#include "emulator/ptx/source.h"

namespace tr0n::emulator {

struct Token {
  enum class Kind : uint8_t { end, word, directive, number, string, punctuation };
  Kind kind = Kind::end;
  std::string_view text;  ///< a word with its dots ("ld.global.f32"), a directive with its first dot
  int line = 0;
  // number:
  bool is_float = false;
  uint8_t float_bytes = 0;
  uint64_t bits = 0;
};

/// One token at a time, comments skipped, lines counted.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) { advance(); }
  const Token& peek() const { return token_; }
  Token take();
  bool is(std::string_view punctuation) const {
    return token_.kind != Token::Kind::string && token_.text == punctuation;
  }
  bool accept(std::string_view text);
  Token expect(std::string_view text);
  std::string expect_word();
  /// An integer constant expression of literals, + - and parentheses.
  int64_t expect_integer();
  void skip_line();  ///< to the end of the current token's line
  [[noreturn]] void fail(const std::string& what) const;

 private:
  void advance();
  void number();
  std::string_view text_;
  size_t at_ = 0;
  int line_ = 1;
  Token token_;
};

}  // namespace tr0n::emulator
