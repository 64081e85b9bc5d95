#include <cmath>
#include <cstring>

#include "cpu/instruction_set.h"
#include "cpu/instruction_set_region.h"

namespace tr0n {
namespace {

/// Arrays that the compiler turns into whatever the processor's basic instruction set has.
struct Vector {
  struct Type {
    float x[4];
  };
  using Four = Type;
  static constexpr const char* name = "portable";
  static constexpr size_t lanes = 4, rows = 4;
  template <class Operation>
  static Type map(const Operation& operation) {
    Type result;
    for (size_t i = 0; i < lanes; ++i) result.x[i] = operation(i);
    return result;
  }
  static Type zero() { return Type{}; }
  static Type load(const float* p) {
    Type result;
    std::memcpy(&result, p, sizeof result);
    return result;
  }
  static Type load_any(const float* p) { return load(p); }
  static void store(float* p, const Type& x) { std::memcpy(p, &x, sizeof x); }
  static void store_any(float* p, const Type& x) { store(p, x); }
  static Type broadcast(const float* p) {
    return map([&](size_t) { return *p; });
  }
  static Type fma(const Type& a, const Type& b, const Type& c) {
    return map([&](size_t i) { return a.x[i] * b.x[i] + c.x[i]; });
  }
  static Type mul(const Type& a, const Type& b) {
    return map([&](size_t i) { return a.x[i] * b.x[i]; });
  }
  static Type add(const Type& a, const Type& b) {
    return map([&](size_t i) { return a.x[i] + b.x[i]; });
  }
  static Type sub(const Type& a, const Type& b) {
    return map([&](size_t i) { return a.x[i] - b.x[i]; });
  }
  static Type div(const Type& a, const Type& b) {
    return map([&](size_t i) { return a.x[i] / b.x[i]; });
  }
  static Type sqrt(const Type& a) {
    return map([&](size_t i) { return std::sqrt(a.x[i]); });
  }
  static Four load4(const float* p) { return load(p); }
  static void store4(float* p, const Four& x) { store(p, x); }
  static void transpose4(Four& a, Four& b, Four& c, Four& d) {
    const Four from[4] = {a, b, c, d};
    a = map([&](size_t i) { return from[i].x[0]; });
    b = map([&](size_t i) { return from[i].x[1]; });
    c = map([&](size_t i) { return from[i].x[2]; });
    d = map([&](size_t i) { return from[i].x[3]; });
  }
};

}  // namespace
}  // namespace tr0n

#include "cpu/instruction_set_body.h"

namespace tr0n {
const InstructionSet& portable_instructions() { return kInstructionSet; }
}  // namespace tr0n
