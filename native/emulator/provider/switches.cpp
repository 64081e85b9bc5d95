#include "emulator/provider/switches.h"

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>

#include "emulator/provider/memory.h"
#include "emulator/provider/provider.h"

namespace tr0n::provider {
namespace {

struct Statistics {
  std::mutex mutex;
  uint64_t parts = 0, nodes = 0, runs = 0, deferred = 0;
  std::set<std::string> left;
  std::string failure;
};
Statistics& statistics() {
  static auto* counts = new Statistics;
  return *counts;
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + "\"";
}

}  // namespace

Planted& planted() {
  static Planted mistakes;
  return mistakes;
}

void count_part(size_t nodes) {
  const std::lock_guard lock(statistics().mutex);
  ++statistics().parts;
  statistics().nodes += nodes;
}
void count_left(const std::string& node) {
  const std::lock_guard lock(statistics().mutex);
  statistics().left.insert(node);
}
void count_run(bool deferred) {
  const std::lock_guard lock(statistics().mutex);
  ++statistics().runs;
  if (deferred) ++statistics().deferred;
}
void note_failure(const std::string& text) {
  const std::lock_guard lock(statistics().mutex);
  statistics().failure = text;
}

bool refused(const std::string& operator_type) {
  const char* list = std::getenv("TR0N_TEST_PROVIDER_REFUSES");
  return list != nullptr &&
         ("," + std::string(list) + ",").find("," + operator_type + ",") != std::string::npos;
}

}  // namespace tr0n::provider

using namespace tr0n::provider;

extern "C" int tr0n_test_provider_plant(const char* name, int on) {
  Planted& mistakes = planted();
  std::atomic<bool>* chosen = std::strcmp(name, "own-stream") == 0     ? &mistakes.own_stream
                              : std::strcmp(name, "stray-copies") == 0 ? &mistakes.stray_copies
                              : std::strcmp(name, "late-outputs") == 0 ? &mistakes.late_outputs
                                                                       : nullptr;
  if (chosen == nullptr) return 1;
  *chosen = on != 0;
  if (on == 0) close_stray_streams();
  return 0;
}

extern "C" const char* tr0n_test_provider_statistics() {
  thread_local std::string text;
  Statistics& s = statistics();
  const std::lock_guard lock(s.mutex);
  text = "{\"parts\":" + std::to_string(s.parts) + ",\"nodes\":" + std::to_string(s.nodes) +
         ",\"runs\":" + std::to_string(s.runs) + ",\"deferred\":" + std::to_string(s.deferred) +
         ",\"failure\":" + quoted(s.failure) + ",\"left\":[";
  bool first = true;
  for (const std::string& node : s.left) {
    text += (first ? "" : ",") + quoted(node);
    first = false;
  }
  text += "]}";
  return text.c_str();
}
