#include <cstdio>
#include <cstdlib>

#include "emulator/config.h"
#include "emulator/driver/driver.h"
#include "emulator/driver/traffic.h"
#include "emulator/emulator.h"
#include "emulator/memory/device_memory.h"
#include "emulator/memory/host_memory.h"

namespace tr0n::cuda {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= 0x20)
      out += c;
    else
      out += ' ';
  }
  return out + "\"";
}

std::string report_as_json() {
  std::string json = "{\"count\":" + std::to_string(emulator::violation_count()) + ",\"violations\":[";
  bool first = true;
  for (const emulator::Violation& v : emulator::violations()) {
    json += first ? "{" : ",{";
    first = false;
    const auto triple = [](const uint32_t(&index)[3]) {
      return "[" + std::to_string(index[0]) + "," + std::to_string(index[1]) + "," +
             std::to_string(index[2]) + "]";
    };
    json += "\"kind\":" + quoted(emulator::name_of(v.kind)) + ",\"kernel\":" + quoted(v.kernel) +
            ",\"line\":" + std::to_string(v.line);
    if (v.in_kernel) json += ",\"block\":" + triple(v.block) + ",\"thread\":" + triple(v.thread);
    json += ",\"text\":" + quoted(text_of(v)) + "}";
  }
  return json + "]}";
}

const char* kept(std::string text) {
  thread_local std::string last;
  last = std::move(text);
  return last.c_str();
}

/// TR0N_EMULATOR_REPORT names a file that the process's end writes: {"report": …, "counters": …}.
struct AtExit {
  ~AtExit() {
    const char* path = std::getenv("TR0N_EMULATOR_REPORT");
    if (path == nullptr || *path == '\0') return;
    std::FILE* file = std::fopen(path, "w");
    if (file == nullptr) return;
    const std::string text =
        "{\"report\":" + report_as_json() + ",\"counters\":" + counters_as_json() + "}\n";
    std::fwrite(text.data(), 1, text.size(), file);
    std::fclose(file);
  }
} at_exit;

}  // namespace
}  // namespace tr0n::cuda

using namespace tr0n::cuda;
namespace emulator = tr0n::emulator;

extern "C" {

const char* tr0n_emulator_report() { return kept(report_as_json()); }
uint64_t tr0n_emulator_violations() { return emulator::violation_count(); }

void tr0n_emulator_reset() {
  const std::lock_guard lock(driver().mutex);
  emulator::reset_violations();
  reset_counters();
  traffic() = Traffic{};
}

uint64_t tr0n_emulator_leaks() {
  const std::lock_guard lock(driver().mutex);
  run_all();
  uint64_t count = 0;
  for (const auto& [address, allocation] : emulator::device_memory().live()) {
    if (allocation.owned) continue;
    ++count;
    misuse("tr0n_emulator_leaks", emulator::Kind::leak,
           "never freed: " + emulator::device_memory().describe(address));
  }
  for (const auto& [address, range] : emulator::host_memory().ranges()) {
    if (!range.allocated) continue;
    ++count;
    misuse("tr0n_emulator_leaks", emulator::Kind::leak,
           "never freed: " + std::to_string(range.bytes) + " bytes of cuMemHostAlloc number " +
               std::to_string(range.serial));
  }
  return count;
}

const char* tr0n_emulator_traffic() {
  const std::lock_guard lock(driver().mutex);
  const Traffic& t = traffic();
  return kept("{\"toDevice\":" + std::to_string(t.to_device) + ",\"toHost\":" + std::to_string(t.to_host) +
              ",\"withinDevice\":" + std::to_string(t.within_device) +
              ",\"peeked\":" + std::to_string(t.peeked) + ",\"poked\":" + std::to_string(t.poked) + "}");
}

const char* tr0n_emulator_counters() {
  const std::lock_guard lock(driver().mutex);
  return kept(counters_as_json());
}

int tr0n_emulator_configure(const char* name, long long value) {
  const std::lock_guard lock(driver().mutex);
  return emulator::configure(name, value) ? 0 : 1;
}

}  // extern "C"
