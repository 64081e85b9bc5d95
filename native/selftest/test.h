#pragma once
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

#include "device/device.h"
#include "selftest/arrays.h"
#include "selftest/compare.h"
#include "selftest/inputs.h"
#include "selftest/machine.h"
#include "selftest/report.h"

/// The self-test holds every kernel of device/kernels on a device to the CPU's body and to float64. A case
/// is `SELFTEST(kernel_name) { … }` in a file *_cases.cpp of this folder; `test` is in scope there:
///
///   for (const size_t n : test.quick ? kFew : kMany) {
///     const auto x = normals(n, 1);
///     Array<float> out(test.device, n);
///     …
///     test.row("n " + std::to_string(n)).close("out", out.values(), expected, 1e-5).timed(work, calls);
///   }
namespace tr0n::selftest {

class Test;

/// What one line of the table was held to. The line is complete when this is destroyed.
class Row {
 public:
  Row(Test& test, std::string sizes);
  ~Row();
  Row(const Row&) = delete;
  Row& operator=(const Row&) = delete;

  /// ‖got − expected‖ / ‖expected‖ against float64 (compare.h).
  template <class T>
  Row& close(const char* what, const std::vector<T>& got, const std::vector<double>& expected,
             double tolerance) {
    return hold(Against::reference, what, norm_error(widened(got), expected), tolerance);
  }
  /// The largest |got − expected| / (1 + |expected|) of an element: where each is a result of its own.
  template <class T>
  Row& each_close(const char* what, const std::vector<T>& got, const std::vector<double>& expected,
                  double tolerance) {
    return hold(Against::reference, what, largest_error(widened(got), expected), tolerance);
  }
  /// As close(), but against what the CPU's body says.
  template <class T>
  Row& agrees(const char* what, const std::vector<T>& got, const std::vector<T>& cpu, double tolerance) {
    return hold(Against::cpu, what, norm_error(widened(got), widened(cpu)), tolerance);
  }
  /// Bit for bit what the CPU's body says: the error is the share of elements that differ.
  template <class T>
  Row& same(const char* what, const std::vector<T>& got, const std::vector<T>& cpu) {
    static_assert(std::has_unique_object_representations_v<T> || std::is_floating_point_v<T>,
                  "padding would be compared too");
    return hold(
        Against::cpu, what,
        got.size() == cpu.size() ? differing(got.data(), cpu.data(), sizeof(T), got.size()) : INFINITY, 0);
  }
  /// Anything else that must hold.
  Row& that(const char* what, bool holds) { return hold(Against::reference, what, holds ? 0 : INFINITY, 0); }
  /// On a real GPU: how long `calls` take, which enqueue kernels on test.device and do nothing else, and how
  /// much of the device's limits that is. Nothing on the emulator, or where the row has failed.
  Row& timed(const Work& work, const std::function<void()>& calls);

 private:
  Row& hold(Against against, const char* what, double error, double tolerance);

  Test& test_;
  Line line_;
};

/// What a case runs with.
class Test {
 public:
  Test(Machine& machine, Report& report, const char* kernel, bool quick_sizes)
      : device(machine.device()),
        cpu(cpu_device()),
        quick(quick_sizes),
        machine_(machine),
        report_(report),
        kernel_(kernel) {}

  Device& device;    ///< under test
  Device& cpu;       ///< has the CPU's bodies
  const bool quick;  ///< small sizes only: the emulator is slow

  Row row(std::string sizes) { return Row(*this, std::move(sizes)); }

 private:
  friend class Row;
  Machine& machine_;
  Report& report_;
  const char* kernel_;
};

struct Case {
  const char* kernel;
  void (*run)(Test&);
};
std::vector<Case>& cases();

struct Registration {
  Registration(const char* kernel, void (*run)(Test&)) { cases().push_back({kernel, run}); }
};

}  // namespace tr0n::selftest

#define SELFTEST(kernel)                                                                         \
  static void selftest_##kernel(::tr0n::selftest::Test& test);                                   \
  static const ::tr0n::selftest::Registration registration_##kernel(#kernel, selftest_##kernel); \
  static void selftest_##kernel(::tr0n::selftest::Test& test)
