#pragma once
#include <optional>
#include <string>
#include <vector>

#include "selftest/machine.h"

namespace tr0n::selftest {

enum class Against { reference, cpu };

/// One comparison.
struct Held {
  std::string what;
  Against against;
  double error, tolerance;
  bool passed() const { return error <= tolerance; }  // false for NaN
};

/// One line of the table: of all its comparisons with each side the worst by error/tolerance, and those that
/// failed.
struct Line {
  std::string kernel, sizes;
  std::optional<Held> reference, cpu;
  std::vector<Held> failed;
  std::optional<Timing> timing;

  void add(const Held& held);
  bool passed() const { return failed.empty() && (reference || cpu); }
};

/// Collects the lines; prints each as it comes unless the end is to be JSON.
class Report {
 public:
  Report(const Machine& machine, bool json) : machine_(machine), json_(json) {}

  void header() const;
  void add(const Line& line);
  /// Of a case as a whole: an exception, a violation that the emulator saw.
  void fail(const std::string& kernel, const std::string& text);
  /// The last words: a summary, or everything as JSON.
  void finish(size_t cases) const;

  size_t lines() const { return lines_.size(); }
  size_t failures() const;

 private:
  std::string as_json(size_t cases) const;

  struct Failure {
    std::string kernel, text;
  };
  const Machine& machine_;
  const bool json_;
  std::vector<Line> lines_;
  std::vector<Failure> failures_;
};

}  // namespace tr0n::selftest
