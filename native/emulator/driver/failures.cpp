#include <cstdlib>
#include <cstring>

#include "emulator/driver/driver.h"
#include "emulator/emulator.h"

// Calls that fail on purpose. TR0N_EMULATOR_FAIL="cuMemAlloc*:3:2,*:57:999!" sets them from the environment:
// pattern, which call, status; ! for that call and all after it.
namespace tr0n::cuda {

struct Rule {
  std::string pattern;
  uint64_t countdown;
  CUresult status;
  bool lasting;
};

static bool pattern_matches(const std::string& pattern, const char* name) {
  // "@work", which is no function, only by its name.
  if (*name == '@') return pattern == name;
  if (!pattern.empty() && pattern.back() == '*')
    return std::strncmp(pattern.c_str(), name, pattern.size() - 1) == 0;
  return pattern == name;
}

static std::vector<Rule> from_environment() {
  std::vector<Rule> rules;
  const char* text = std::getenv("TR0N_EMULATOR_FAIL");
  std::string rest = text == nullptr ? "" : text;
  while (!rest.empty()) {
    const size_t comma = std::min(rest.find(','), rest.size());
    const std::string part = rest.substr(0, comma);
    rest.erase(0, std::min(comma + 1, rest.size()));
    const size_t first = part.find(':'),
                 second = first == std::string::npos ? first : part.find(':', first + 1);
    if (second == std::string::npos) continue;
    rules.push_back({part.substr(0, first), std::strtoull(part.c_str() + first + 1, nullptr, 10),
                     static_cast<CUresult>(std::atoi(part.c_str() + second + 1)), part.back() == '!'});
  }
  return rules;
}

static std::vector<Rule>& failure_rules() {
  static auto* list = new std::vector<Rule>(from_environment());
  return *list;
}
static std::map<std::string, uint64_t>& call_counts() {
  static auto* counts = new std::map<std::string, uint64_t>;
  return *counts;
}

CUresult injected(const char* name) {
  ++call_counts()[name];
  for (Rule& rule : failure_rules()) {
    if (!pattern_matches(rule.pattern, name)) continue;
    if (rule.countdown == 0) {
      if (rule.lasting) return rule.status;
    } else if (--rule.countdown == 0) {
      return rule.status;
    }
  }
  return CUDA_SUCCESS;
}

}  // namespace tr0n::cuda

using namespace tr0n::cuda;

extern "C" void tr0n_emulator_fail(const char* function, uint64_t nth, int status, int lasting) {
  const std::lock_guard lock(driver().mutex);
  failure_rules().push_back({function, nth, static_cast<CUresult>(status), lasting != 0});
}

extern "C" void tr0n_emulator_fail_none() {
  const std::lock_guard lock(driver().mutex);
  failure_rules().clear();
}

extern "C" uint64_t tr0n_emulator_calls(const char* function) {
  const std::lock_guard lock(driver().mutex);
  uint64_t sum = 0;
  for (const auto& [name, count] : call_counts()) sum += pattern_matches(function, name.c_str()) ? count : 0;
  return sum;
}
