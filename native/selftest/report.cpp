#include "selftest/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace tr0n::selftest {
namespace {

double strain(const Held& held) {
  if (!held.passed()) return INFINITY;
  return held.tolerance > 0 ? held.error / held.tolerance : 0;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1e", value);
  return text;
}

std::string error_of(const std::optional<Held>& held) {
  if (!held) return "-";
  return held->error == 0 ? "0" : number(held->error);
}

std::string tolerance_of(const std::optional<Held>& held) {
  if (!held) return "-";
  return held->tolerance == 0 ? "0" : number(held->tolerance);
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    char escaped[8];
    if (c == '"' || c == '\\')
      (result += '\\') += c;
    else if (static_cast<unsigned char>(c) < 32)
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c)), result += escaped;
    else
      result += c;
  }
  return result + "\"";
}

/// JSON has no infinity; 1e999 reads as one in every parser of doubles.
std::string json_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return std::isfinite(value) ? text : "1e999";
}

std::string held_json(const char* name, const std::optional<Held>& held) {
  if (!held) return "";
  return ",\"" + std::string(name) + "\":{\"what\":" + quoted(held->what) +
         ",\"error\":" + json_number(held->error) + ",\"tolerance\":" + json_number(held->tolerance) + "}";
}

}  // namespace

void Line::add(const Held& held) {
  if (!held.passed()) failed.push_back(held);
  std::optional<Held>& worst = held.against == Against::cpu ? cpu : reference;
  if (!worst || strain(held) > strain(*worst)) worst = held;
}

size_t Report::failures() const {
  const auto failed = std::count_if(lines_.begin(), lines_.end(), [](const Line& l) { return !l.passed(); });
  return static_cast<size_t>(failed) + failures_.size();
}

void Report::header() const {
  if (json_) return;
  std::printf("%s\n", machine_.description().c_str());
  std::printf("error: against float64; CPU: against the CPU's kernel (0: the same bits)");
  if (machine_.real())
    std::printf(
        "; %%: of the GPU's bandwidth or arithmetic, whichever is used more\n\n%-26s %-40s %8s %8s %8s %10s "
        "%8s %9s %5s\n",
        "kernel", "sizes", "error", "allowed", "CPU", "µs", "GB/s", "GFLOP/s", "%");
  else
    std::printf("\n\n%-26s %-40s %8s %8s %8s\n", "kernel", "sizes", "error", "allowed", "CPU");
}

void Report::add(const Line& line) {
  lines_.push_back(line);
  if (json_) return;
  std::printf("%-26s %-40s %8s %8s %8s", line.kernel.c_str(), line.sizes.c_str(),
              error_of(line.reference).c_str(), tolerance_of(line.reference).c_str(),
              error_of(line.cpu).c_str());
  if (line.timing)
    std::printf(" %10.2f %8.0f %9.0f %5.1f", 1e6 * line.timing->seconds, 1e-9 * line.timing->bytes_per_second,
                1e-9 * line.timing->flops_per_second, 100 * line.timing->share);
  std::printf("\n");
  for (const Held& held : line.failed)
    std::printf("  FAILED %s: %s off by %.3g, allowed %.3g\n", held.what.c_str(),
                held.against == Against::cpu ? "from the CPU" : "from float64", held.error, held.tolerance);
  if (!line.passed() && line.failed.empty()) std::printf("  FAILED: nothing was compared\n");
  std::fflush(stdout);
}

void Report::fail(const std::string& kernel, const std::string& text) {
  failures_.push_back({kernel, text});
  if (json_) return;
  std::printf("%-26s FAILED: %s\n", kernel.c_str(), text.c_str());
  std::fflush(stdout);
}

std::string Report::as_json(size_t cases) const {
  std::string json =
      "{\"device\":" + quoted(machine_.description()) + ",\"real\":" + (machine_.real() ? "true" : "false") +
      ",\"cases\":" + std::to_string(cases) + ",\"failures\":" + std::to_string(failures()) + ",\"lines\":[";
  for (size_t i = 0; i < lines_.size(); ++i) {
    const Line& line = lines_[i];
    json += (i > 0 ? ",{\"kernel\":" : "{\"kernel\":") + quoted(line.kernel) +
            ",\"sizes\":" + quoted(line.sizes) + ",\"passed\":" + (line.passed() ? "true" : "false") +
            held_json("reference", line.reference) + held_json("cpu", line.cpu);
    if (line.timing)
      json += ",\"seconds\":" + json_number(line.timing->seconds) +
              ",\"bytesPerSecond\":" + json_number(line.timing->bytes_per_second) +
              ",\"flopsPerSecond\":" + json_number(line.timing->flops_per_second) +
              ",\"share\":" + json_number(line.timing->share);
    json += "}";
  }
  json += "],\"errors\":[";
  for (size_t i = 0; i < failures_.size(); ++i)
    json += (i > 0 ? ",{\"kernel\":" : "{\"kernel\":") + quoted(failures_[i].kernel) +
            ",\"text\":" + quoted(failures_[i].text) + "}";
  return json + "]}";
}

void Report::finish(size_t cases) const {
  if (json_)
    std::printf("%s\n", as_json(cases).c_str());
  else
    std::printf("%zu cases, %zu lines, %zu failures\n", cases, lines_.size(), failures());
}

}  // namespace tr0n::selftest
