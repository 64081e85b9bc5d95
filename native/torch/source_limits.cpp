#include "torch/source_limits.h"

#include <cctype>

#include "torch/errors.h"

namespace tr0n::torchscript {
namespace {

// libtorch breaks long expressions up when it writes code.
constexpr int kDeepestBrackets = 200;
constexpr size_t kDeepestIndent = 400;   // two columns a level
constexpr size_t kMostOperators = 2000;  // in one statement, outside of lists of numbers

bool wordy(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

class Scan {
 public:
  Scan(std::string_view text, const std::string& place) : text_(text), place_(place) {}

  size_t run() {
    while (at_ < text_.size()) step();
    return definitions_;
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    throw Damaged(place_ + ": " + what + ", in line " + std::to_string(line_));
  }

  void step() {
    const char c = text_[at_];
    if (c == '\n') {
      ++at_;
      ++line_;
      if (brackets_ == 0) begin_statement();
    } else if (c == '#') {
      while (at_ < text_.size() && text_[at_] != '\n') ++at_;
    } else if (c == '"' || c == '\'') {
      skip_text(c);
    } else if (c == '(' || c == '[' || c == '{') {
      ++at_;
      if (++brackets_ > kDeepestBrackets) fail("brackets are nested too deeply");
    } else if (c == ')' || c == ']' || c == '}') {
      ++at_;
      if (brackets_ > 0) --brackets_;
    } else if (wordy(c)) {
      word();
    } else {
      ++at_;
      // What is between commas is of one level; a sign before a number is a part of it.
      const bool sign =
          c == '-' && at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_]));
      if (c != ',' && c != ' ' && c != '\t' && c != '\r' && !sign) count_operator();
    }
  }

  void begin_statement() {
    size_t indent = 0;
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) {
      ++at_;
      ++indent;
    }
    if (indent > kDeepestIndent) fail("blocks are nested too deeply");
    operators_ = 0;
  }

  void count_operator() {
    if (++operators_ > kMostOperators) fail("a statement has too many operators");
  }

  void word() {
    const size_t start = at_;
    while (at_ < text_.size() && (wordy(text_[at_]) || text_[at_] == '.')) ++at_;
    const std::string_view found = text_.substr(start, at_ - start);
    if (found == "def" || found == "class") ++definitions_;
    for (const char* name : {"not", "and", "or", "if", "else", "in", "is", "lambda"})
      if (found == name) return count_operator();
  }

  void skip_text(char quote) {
    const bool triple = text_.substr(at_, 3) == std::string(3, quote);
    at_ += triple ? 3 : 1;
    while (at_ < text_.size()) {
      if (text_[at_] == '\\') {
        at_ += 2;
      } else if (text_[at_] == '\n' && !triple) {
        return;
      } else if (text_.substr(at_, triple ? 3 : 1) == std::string(triple ? 3 : 1, quote)) {
        at_ += triple ? 3 : 1;
        return;
      } else {
        if (text_[at_] == '\n') ++line_;
        ++at_;
      }
    }
  }

  const std::string_view text_;
  const std::string& place_;
  size_t at_ = 0, line_ = 1, operators_ = 0, definitions_ = 0;
  int brackets_ = 0;
};

}  // namespace

size_t check_source(std::string_view text, const std::string& place) { return Scan(text, place).run(); }

}  // namespace tr0n::torchscript
