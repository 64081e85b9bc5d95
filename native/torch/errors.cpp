#include "torch/errors.h"

#include <sstream>
#include <vector>

namespace tr0n::torchscript {
namespace {

constexpr size_t kLongest = 600;

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

/// "RuntimeError: …", "torch.jit.Error: …", "ValueError: …"
bool names_an_error(const std::string& line) {
  const size_t colon = line.find(':');
  if (colon == std::string::npos || colon == 0) return false;
  const std::string word = line.substr(0, colon);
  if (word.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.") !=
      std::string::npos)
    return false;
  for (const char* end : {"Error", "Exception"}) {
    const size_t at = word.rfind(end);
    if (at != std::string::npos && at + std::string(end).size() == word.size()) return true;
  }
  return false;
}

}  // namespace

std::string readable(const std::string& message) {
  std::vector<std::string> lines;
  std::istringstream stream(message);
  for (std::string line; std::getline(stream, line);) {
    // The C++ backtrace of a build of libtorch with debug output.
    if (line.rfind("Exception raised from", 0) == 0 || line.rfind("frame #", 0) == 0) continue;
    lines.push_back(line);
  }
  // The interpreter puts what was raised behind its traceback, whose innermost line is marked.
  size_t raised = lines.size();
  for (size_t i = 0; i < lines.size(); ++i)
    if (names_an_error(lines[i])) raised = i;
  std::string text, place;
  if (raised < lines.size()) {
    for (size_t i = raised; i < lines.size(); ++i) text += lines[i] + "\n";
    for (size_t i = 1; i < raised; ++i)
      if (lines[i].find("<--- HERE") != std::string::npos) place = trimmed(lines[i - 1]);
  } else {
    for (const std::string& line : lines) text += line + "\n";
  }
  text = trimmed(text);
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "…";
  if (place.empty()) return text;
  if (place.size() > 120) place = place.substr(0, 120) + "…";
  return text + " (in the line \"" + place + "\")";
}

bool says_out_of_memory(const std::string& message) {
  for (const char* phrase : {"can't allocate memory", "not enough memory", "out of memory", "bad_alloc"})
    if (message.find(phrase) != std::string::npos) return true;
  return false;
}

}  // namespace tr0n::torchscript
