#include <cfenv>
#include <cmath>

#include "emulator/exec/decode_float.h"

// Compiled with -frounding-math: the mode is changed around single operations.
namespace tr0n::emulator {
namespace {

class Mode {
 public:
  explicit Mode(Rounding mode) : saved_(std::fegetround()) {
    constexpr int kModes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD, FE_TONEAREST};
    std::fesetround(kModes[static_cast<int>(mode)]);
  }
  ~Mode() { std::fesetround(saved_); }
  Mode(const Mode&) = delete;
  Mode& operator=(const Mode&) = delete;

 private:
  int saved_;
};

template <class T>
T compute(RoundedOp op, Rounding mode, T x, T y, T z) {
  const Mode scope(mode);
  volatile T a = x, b = y, c = z, result = 0;  // volatile: nothing is moved over the change of mode
  switch (op) {
    case RoundedOp::add:
      result = a + b;
      break;
    case RoundedOp::sub:
      result = a - b;
      break;
    case RoundedOp::mul:
      result = a * b;
      break;
    case RoundedOp::fma:
      result = std::fma(a, b, c);
      break;
    case RoundedOp::div:
      result = a / b;
      break;
    case RoundedOp::rcp:
      result = T{1} / a;
      break;
    case RoundedOp::sqrt:
      result = std::sqrt(a);
      break;
  }
  return result;
}

}  // namespace

float rounded(RoundedOp op, Rounding mode, float a, float b, float c) { return compute(op, mode, a, b, c); }
double rounded(RoundedOp op, Rounding mode, double a, double b, double c) {
  return compute(op, mode, a, b, c);
}

float narrowed(Rounding mode, double x) {
  const Mode scope(mode);
  volatile double wide = x;
  volatile float narrow = static_cast<float>(wide);
  return narrow;
}

}  // namespace tr0n::emulator
