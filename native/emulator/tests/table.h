#pragma once
#include <bit>
#include <cmath>
#include <functional>
#include <string>
#include <type_traits>

#include "emulator/tests/device.h"

/// One instruction over many inputs: every thread loads its operands, executes it and stores the result.
namespace tr0n::emulator::test {

/// Names of register types and of loads for them.
struct Slot {
  std::string type;  ///< "u32", "f64", "pred"
  unsigned bytes;    ///< in memory; predicates take 4
};
template <class T>
Slot slot() {
  if constexpr (std::is_same_v<T, float>)
    return {"f32", 4};
  else if constexpr (std::is_same_v<T, double>)
    return {"f64", 8};
  else if constexpr (std::is_same_v<T, bool>)
    return {"pred", 4};
  else
    return {"b" + std::to_string(8 * sizeof(T)), sizeof(T)};
}

/// Runs `d = instruction(operands)` for every tuple; operands and results are 64-bit images of their types.
/// `more` is appended to the operands (", 7").
std::vector<uint64_t> run_instruction(const std::string& instruction, const Slot& result,
                                      const std::vector<Slot>& operands,
                                      const std::vector<std::vector<uint64_t>>& columns,
                                      const std::string& more = "");

template <class T>
uint64_t image(T value) {
  if constexpr (std::is_same_v<T, bool>)
    return value ? 1 : 0;
  else if constexpr (std::is_same_v<T, float>)
    return std::bit_cast<uint32_t>(value);
  else if constexpr (std::is_same_v<T, double>)
    return std::bit_cast<uint64_t>(value);
  else
    return static_cast<std::make_unsigned_t<T>>(value);
}
template <class T>
T of_image(uint64_t bits) {
  if constexpr (std::is_same_v<T, bool>)
    return bits != 0;
  else if constexpr (std::is_same_v<T, float>)
    return std::bit_cast<float>(static_cast<uint32_t>(bits));
  else if constexpr (std::is_same_v<T, double>)
    return std::bit_cast<double>(bits);
  else
    return static_cast<T>(bits);
}
template <class T>
std::string shown(T value) {
  char text[64];
  if constexpr (std::is_floating_point_v<T>)
    std::snprintf(text, sizeof text, "%a", static_cast<double>(value));
  else
    std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(image(value)));
  return text;
}

/// Values at the edges of a type, with some in between.
template <class T>
std::vector<T> edges();
template <>
std::vector<float> edges<float>();
template <>
std::vector<double> edges<double>();
template <class T>
std::vector<T> edges() {
  using U = std::make_unsigned_t<T>;
  const U top = static_cast<U>(U{1} << (8 * sizeof(T) - 1));
  std::vector<T> list;
  for (const U value :
       {U{0}, U{1}, U{2}, U{3}, U{7}, U{31}, U{32}, U{33}, U{63}, U{64}, U{100}, static_cast<U>(top - 1), top,
        static_cast<U>(top + 1), static_cast<U>(~U{0}), static_cast<U>(~U{1}),
        static_cast<U>(0x5A5AC3C3F00F1234ULL), static_cast<U>(0x8000000080000001ULL)}) {
    list.push_back(static_cast<T>(value));
  }
  return list;
}

/// Equal bits, any NaN for any NaN of another sign or payload only where the reference is one.
template <class D>
bool same(D value, D expected) {
  if constexpr (std::is_floating_point_v<D>) {
    if (expected != expected) return image(value) == (sizeof(D) == 4 ? 0x7FFFFFFFULL : 0xFFF8000000000000ULL);
  }
  return image(value) == image(expected);
}

template <class D, class A, class Reference>
void check1(const std::string& instruction, const std::vector<A>& a, Reference reference,
            const std::string& more = "") {
  std::vector<std::vector<uint64_t>> columns(1);
  for (const A x : a) columns[0].push_back(image(x));
  const auto results = run_instruction(instruction, slot<D>(), {slot<A>()}, columns, more);
  for (size_t i = 0; i < results.size(); ++i) {
    const D expected = reference(a[i]), value = of_image<D>(results[i]);
    CHECK_SAYING(same(value, expected),
                 instruction + " of " + shown(a[i]) + " gave " + shown(value) + ", not " + shown(expected));
  }
}

template <class D, class A, class B, class Reference>
void check2(const std::string& instruction, const std::vector<A>& a, const std::vector<B>& b,
            Reference reference, const std::string& more = "") {
  std::vector<std::vector<uint64_t>> columns(2);
  for (const A x : a) {
    for (const B y : b) columns[0].push_back(image(x)), columns[1].push_back(image(y));
  }
  const auto results = run_instruction(instruction, slot<D>(), {slot<A>(), slot<B>()}, columns, more);
  for (size_t i = 0; i < results.size(); ++i) {
    const A x = of_image<A>(columns[0][i]);
    const B y = of_image<B>(columns[1][i]);
    const D expected = reference(x, y), value = of_image<D>(results[i]);
    CHECK_SAYING(same(value, expected), instruction + " of " + shown(x) + ", " + shown(y) + " gave " +
                                            shown(value) + ", not " + shown(expected));
  }
}

template <class D, class A, class B, class C, class Reference>
void check3(const std::string& instruction, const std::vector<A>& a, const std::vector<B>& b,
            const std::vector<C>& c, Reference reference, const std::string& more = "") {
  std::vector<std::vector<uint64_t>> columns(3);
  for (const A x : a) {
    for (const B y : b) {
      for (const C z : c)
        columns[0].push_back(image(x)), columns[1].push_back(image(y)), columns[2].push_back(image(z));
    }
  }
  const auto results =
      run_instruction(instruction, slot<D>(), {slot<A>(), slot<B>(), slot<C>()}, columns, more);
  for (size_t i = 0; i < results.size(); ++i) {
    const A x = of_image<A>(columns[0][i]);
    const B y = of_image<B>(columns[1][i]);
    const C z = of_image<C>(columns[2][i]);
    const D expected = reference(x, y, z), value = of_image<D>(results[i]);
    CHECK_SAYING(same(value, expected), instruction + " of " + shown(x) + ", " + shown(y) + ", " + shown(z) +
                                            " gave " + shown(value) + ", not " + shown(expected));
  }
}

}  // namespace tr0n::emulator::test
