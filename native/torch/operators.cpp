#include "torch/operators.h"

#include <sstream>
#include <unordered_set>

namespace tr0n::torchscript {
namespace {

/// operators.txt, put here by CMake.
constexpr char kText[] =
#include "operators_text.inc"
    ;

struct List {
  std::unordered_set<std::string> allowed, excepted;

  List() {
    std::istringstream lines(kText);
    for (std::string line; std::getline(lines, line);) {
      if (line.empty() || line[0] == '#') continue;
      if (line[0] == '-')
        excepted.insert(line.substr(1));
      else
        allowed.insert(line);
    }
  }
};

const List& list() {
  static const auto* instance = new List;
  return *instance;
}

}  // namespace

bool only_computes(const std::string& name) { return list().allowed.count(name) > 0; }

bool refused_overload(const std::string& name) { return list().excepted.count(name) > 0; }

}  // namespace tr0n::torchscript
