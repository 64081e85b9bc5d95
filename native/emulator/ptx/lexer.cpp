#include "emulator/ptx/lexer.h"

#include <cctype>
#include <cstdlib>
#include <cstring>

namespace tr0n::emulator {
namespace {

bool starts_word(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '%';
}
bool in_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$'; }

}  // namespace

void Lexer::fail(const std::string& what) const { throw PtxError(token_.line, what); }

Token Lexer::take() {
  Token token = token_;
  advance();
  return token;
}

bool Lexer::accept(std::string_view text) {
  if (!is(text)) return false;
  advance();
  return true;
}

Token Lexer::expect(std::string_view text) {
  if (!is(text)) {
    fail("expected \"" + std::string(text) + "\", found " +
         (token_.kind == Token::Kind::end ? "the end of the text" : "\"" + std::string(token_.text) + "\""));
  }
  return take();
}

std::string Lexer::expect_word() {
  if (token_.kind != Token::Kind::word) fail("expected a name, found \"" + std::string(token_.text) + "\"");
  return std::string(take().text);
}

int64_t Lexer::expect_integer() {
  int64_t sum = 0, sign = 1;
  for (;;) {
    while (is("-") || is("+")) {
      if (is("-")) sign = -sign;
      advance();
    }
    if (accept("(")) {
      sum += sign * expect_integer();
      expect(")");
    } else {
      if (token_.kind != Token::Kind::number || token_.is_float)
        fail("expected an integer, found \"" + std::string(token_.text) + "\"");
      sum += sign * static_cast<int64_t>(take().bits);
    }
    if (!is("+") && !is("-")) return sum;
    sign = 1;
  }
}

void Lexer::skip_line() {
  const int line = token_.line;
  while (token_.kind != Token::Kind::end && token_.line == line) advance();
}

void Lexer::advance() {
  for (;;) {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])))
      line_ += text_[at_++] == '\n';
    if (text_.substr(at_, 2) == "//") {
      while (at_ < text_.size() && text_[at_] != '\n') ++at_;
    } else if (text_.substr(at_, 2) == "/*") {
      const size_t end = std::min(text_.find("*/", at_ + 2), text_.size());
      for (; at_ < end; ++at_) line_ += text_[at_] == '\n';
      at_ = std::min(at_ + 2, text_.size());
    } else {
      break;
    }
  }
  token_ = Token{};
  token_.line = line_;
  if (at_ >= text_.size() || text_[at_] == '\0') return;
  const size_t start = at_;
  const char c = text_[at_];
  if (starts_word(c) || (c == '.' && at_ + 1 < text_.size() && starts_word(text_[at_ + 1]))) {
    token_.kind = c == '.' ? Token::Kind::directive : Token::Kind::word;
    ++at_;
    // A word runs through its dots ("cp.async.cg", "%tid.x"); modifiers may have :: ("shared::cta") and start
    // with a digit.
    while (at_ < text_.size()) {
      if (in_word(text_[at_])) {
        ++at_;
      } else if (text_[at_] == '.' && at_ + 1 < text_.size() && in_word(text_[at_ + 1]) && c != '.') {
        ++at_;
      } else if (text_.substr(at_, 2) == "::" && at_ + 2 < text_.size() && in_word(text_[at_ + 2])) {
        at_ += 2;
      } else {
        break;
      }
    }
  } else if (std::isdigit(static_cast<unsigned char>(c))) {
    number();
  } else if (c == '"') {
    token_.kind = Token::Kind::string;
    ++at_;
    while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    ++at_;
  } else {
    token_.kind = Token::Kind::punctuation;
    ++at_;
  }
  at_ = std::min(at_, text_.size());
  token_.text = text_.substr(start, at_ - start);
}

void Lexer::number() {
  token_.kind = Token::Kind::number;
  const char kind = at_ + 1 < text_.size() && text_[at_] == '0' ? text_[at_ + 1] : '\0';
  const std::string rest(text_.substr(at_, 64));
  if (kind == 'f' || kind == 'F' || kind == 'd' || kind == 'D') {
    token_.is_float = true;
    token_.float_bytes = (kind == 'f' || kind == 'F') ? 4 : 8;
    const std::string digits = rest.substr(2, token_.float_bytes * 2);
    char* end = nullptr;
    token_.bits = std::strtoull(digits.c_str(), &end, 16);
    if (end != digits.c_str() + token_.float_bytes * 2)
      fail("a floating-point constant needs " + std::to_string(token_.float_bytes * 2) +
           " hexadecimal digits");
    at_ += 2 + digits.size();
    return;
  }
  char* end = nullptr;
  const int base = (kind == 'x' || kind == 'X')                                     ? 16
                   : (kind == 'b' || kind == 'B')                                   ? 2
                   : kind != '\0' && std::isdigit(static_cast<unsigned char>(kind)) ? 8
                                                                                    : 10;
  token_.bits = std::strtoull(rest.c_str() + (base == 2 ? 2 : 0), &end, base);
  if (base == 10 || base == 8) {
    size_t digits = 0;
    while (std::isdigit(static_cast<unsigned char>(rest[digits]))) ++digits;
    const char after = rest[digits];
    if (after == '.' || after == 'e' || after == 'E') {
      const double value = std::strtod(rest.c_str(), &end);
      token_.is_float = true;
      token_.float_bytes = 8;
      std::memcpy(&token_.bits, &value, 8);
    }
  }
  at_ += static_cast<size_t>(end - rest.c_str());
  if (at_ < text_.size() && text_[at_] == 'U') ++at_;
}

}  // namespace tr0n::emulator
