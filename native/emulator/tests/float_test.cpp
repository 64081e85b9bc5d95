#include "emulator/tests/exact.h"
#include "emulator/tests/table.h"

// Floating-point arithmetic in all rounding modes against 113-bit arithmetic.
namespace tr0n::emulator::test {
namespace {

constexpr const char* kModes[] = {"rn", "rz", "rm", "rp"};

/// The sign of a zero sum: + unless both are -0, or the mode is down.
template <class T>
T signed_zero(T result, T a, T b, Mode mode) {
  if (result != 0) return result;
  if (a == 0 && b == 0 && std::signbit(a) == std::signbit(b)) return a;
  return a == -b ? (mode == Mode::down ? -T{0} : T{0}) : result;
}

template <class T>
T reference_add(T a, T b, Mode mode) {
  return signed_zero(rounded<T>(sum(a, b), mode), a, b, mode);
}
template <class T>
T reference_mul(T a, T b, Mode mode) {
  const T r = rounded<T>(static_cast<Quad>(a) * b, mode);
  return r == 0 ? std::copysign(r, std::signbit(a) != std::signbit(b) ? T{-1} : T{1}) : r;
}
template <class T>
T reference_fma(T a, T b, T c, Mode mode) {
  const Quad product = static_cast<Quad>(a) * b;
  const T r = rounded<T>(sum(product, c), mode);
  if (std::isnan(r) || std::isinf(c)) return r;
  if (r != 0 || product != 0 || c != 0)
    return (product == -static_cast<Quad>(c) && product != 0) ? (mode == Mode::down ? -T{0} : T{0}) : r;
  const bool negative = std::signbit(a) != std::signbit(b);
  return negative == std::signbit(c) ? c : mode == Mode::down ? -T{0} : T{0};
}
template <class T>
T reference_div(T a, T b, Mode mode) {
  const Quad q = static_cast<Quad>(a) / b;
  const T r = rounded<T>(q, mode);
  return r == 0 ? std::copysign(r, std::signbit(a) != std::signbit(b) ? T{-1} : T{1}) : r;
}
template <class T>
T reference_sqrt(T a, Mode mode) {
  if (!(a > 0) || std::isinf(a)) return a == 0 ? a : a > 0 ? a : std::numeric_limits<T>::quiet_NaN();
  Quad y = std::sqrt(static_cast<long double>(a));
  y = (y + a / y) / 2;
  const T nearest = static_cast<T>(std::sqrt(static_cast<long double>(a)));
  if (static_cast<Quad>(nearest) * nearest == a) y = nearest;
  return rounded<T>(y, mode);
}

template <class T>
void arithmetic(const std::string& type) {
  const auto v = edges<T>();
  const std::vector<T> few(v.begin(), v.begin() + 24);
  for (int m = 0; m < 4; ++m) {
    const auto mode = static_cast<Mode>(m);
    const std::string suffix = std::string(".") + kModes[m] + "." + type;
    check2<T>("add" + suffix, v, v, [&](T a, T b) { return reference_add(a, b, mode); });
    check2<T>("sub" + suffix, v, v, [&](T a, T b) { return reference_add(a, -b, mode); });
    check2<T>("mul" + suffix, v, v, [&](T a, T b) { return reference_mul(a, b, mode); });
    check2<T>("div" + suffix, v, v, [&](T a, T b) { return reference_div(a, b, mode); });
    check1<T>("rcp" + suffix, v, [&](T a) { return reference_div(T{1}, a, mode); });
    check1<T>("sqrt" + suffix, v, [&](T a) { return reference_sqrt(a, mode); });
    check3<T>("fma" + suffix, few, few, few, [&](T a, T b, T c) { return reference_fma(a, b, c, mode); });
  }
  check2<T>("add." + type, v, v, [&](T a, T b) { return reference_add(a, b, Mode::nearest); });
  check2<T>("mul." + type, v, v, [&](T a, T b) { return reference_mul(a, b, Mode::nearest); });
  const auto least = [](T a, T b) {
    if (std::isnan(a) || std::isnan(b)) return std::isnan(a) ? b : a;
    return a == b ? (std::signbit(a) ? a : b) : a < b ? a : b;
  };
  const auto most = [&](T a, T b) { return -least(-a, -b); };
  const auto nan = [](T a, T b, T otherwise) {
    return std::isnan(a) || std::isnan(b) ? std::numeric_limits<T>::quiet_NaN() : otherwise;
  };
  check2<T>("min." + type, v, v, least);
  check2<T>("max." + type, v, v, most);
  if (type == "f32") {
    check2<T>("min.NaN." + type, v, v, [&](T a, T b) { return nan(a, b, least(a, b)); });
    check2<T>("max.NaN." + type, v, v, [&](T a, T b) { return nan(a, b, most(a, b)); });
  }
  std::vector<T> numbers;
  for (const T x : v) {
    if (!std::isnan(x)) numbers.push_back(x);
  }
  check1<T>("abs." + type, numbers, [](T a) { return std::signbit(a) ? -a : a; });
  check1<T>("neg." + type, numbers, [](T a) { return a * -1; });
  check2<T>("copysign." + type, numbers, numbers,
            [](T a, T b) { return std::signbit(a) == std::signbit(b) ? b : -b; });
}

}  // namespace

TEST(float_single) { arithmetic<float>("f32"); }
TEST(float_double) { arithmetic<double>("f64"); }

TEST(float_flush_and_saturate) {
  const auto v = edges<float>();
  const std::vector<float> few(v.begin(), v.begin() + 24);
  const auto f = [](float x) { return flushed(x); };
  check2<float>("add.ftz.f32", v, v,
                [&](float a, float b) { return f(reference_add(f(a), f(b), Mode::nearest)); });
  check2<float>("mul.rn.ftz.f32", v, v,
                [&](float a, float b) { return f(reference_mul(f(a), f(b), Mode::nearest)); });
  check2<float>("mul.rz.ftz.f32", v, v,
                [&](float a, float b) { return f(reference_mul(f(a), f(b), Mode::zero)); });
  check3<float>("fma.rn.ftz.f32", few, few, few,
                [&](float a, float b, float c) { return f(reference_fma(f(a), f(b), f(c), Mode::nearest)); });
  check2<float>("add.sat.f32", v, v,
                [](float a, float b) { return clamped(reference_add(a, b, Mode::nearest)); });
  check2<float>("mul.sat.f32", v, v,
                [](float a, float b) { return clamped(reference_mul(a, b, Mode::nearest)); });
  check3<float>("fma.rn.sat.f32", few, few, few,
                [](float a, float b, float c) { return clamped(reference_fma(a, b, c, Mode::nearest)); });
  check3<float>("fma.rp.ftz.sat.f32", few, few, few, [&](float a, float b, float c) {
    return clamped(f(reference_fma(f(a), f(b), f(c), Mode::up)));
  });
  check2<float>("div.rn.ftz.f32", v, v,
                [&](float a, float b) { return f(reference_div(f(a), f(b), Mode::nearest)); });
  check2<float>("max.ftz.f32", v, v, [&](float a, float b) {
    a = f(a), b = f(b);
    if (std::isnan(a) || std::isnan(b)) return std::isnan(a) ? b : a;
    return a == b ? (std::signbit(a) ? b : a) : a > b ? a : b;
  });
}

namespace {

/// Every value within `bound` of the reference: relative, or absolute where it says so.
void within(const std::string& instruction, const std::vector<float>& values, double bound, bool absolute,
            double (*reference)(double)) {
  std::vector<std::vector<uint64_t>> columns(1);
  for (const float x : values) columns[0].push_back(image(x));
  const auto results = run_instruction(instruction, slot<float>(), {slot<float>()}, columns);
  double worst = 0;
  for (size_t i = 0; i < results.size(); ++i) {
    const double exact = reference(static_cast<double>(values[i])),
                 value = static_cast<double>(of_image<float>(results[i]));
    if (std::isnan(exact) || std::isinf(exact) || exact == 0 || std::fabs(exact) >= 0x1p128) {
      CHECK_SAYING(
          std::isnan(exact) ? std::isnan(value) : value == static_cast<double>(static_cast<float>(exact)),
          instruction + " of " + shown(values[i]) + " gave " + shown(static_cast<float>(value)));
      continue;
    }
    // Subnormal results have an absolute error of their last place, or are flushed.
    const double error = std::fabs(value - exact) / (absolute ? 1 : std::max(std::fabs(exact), 0x1p-126));
    worst = std::max(worst, error);
    CHECK_SAYING(error <= bound, instruction + " of " + shown(values[i]) + " is off by " +
                                     std::to_string(error / bound) + " of the bound");
  }
}

double exp2_(double x) { return std::exp2(x); }
double log2_(double x) { return std::log2(x); }
double reciprocal(double x) { return 1 / x; }
double reciprocal_root(double x) { return 1 / std::sqrt(x); }
double root(double x) { return std::sqrt(x); }
double sine(double x) { return std::sin(x); }
double cosine(double x) { return std::cos(x); }
double tangent(double x) { return std::tanh(x); }

// The bounds of the PTX document: 2^-23, 2^-22.9, 2^-22.5, 2^-11, 2^-20.5, 2^-22.6.
void approximations() {
  std::vector<float> v = edges<float>(), small, angles, near_one;
  for (int k = -4000; k < 4000; ++k) {
    small.push_back(static_cast<float>(k) * 0.0371f);
    angles.push_back(static_cast<float>(k) * 0.00078f);
    near_one.push_back(1.25f + static_cast<float>(k) * 0.000186f);
  }
  v.insert(v.end(), small.begin(), small.end());
  within("rcp.approx.f32", v, 0x1p-23, false, reciprocal);
  within("sqrt.approx.f32", v, 0x1p-23, false, root);
  within("rsqrt.approx.f32", v, 0x1.126p-23, false, reciprocal_root);
  within("ex2.approx.f32", v, 0x1.6ap-23, false, exp2_);
  within("tanh.approx.f32", small, 0x1p-11, false, tangent);
  within("sin.approx.f32", angles, 0x1.6ap-21, true, sine);
  within("cos.approx.f32", angles, 0x1.6ap-21, true, cosine);
  // Absolute around 1, relative elsewhere.
  within("lg2.approx.f32", near_one, 0x1.52p-23, true, log2_);
  std::vector<float> far;
  for (const float x : v) {
    if (!(x > 0.5f && x < 2)) far.push_back(x);
  }
  within("lg2.approx.f32", far, 0x1.52p-23, false, log2_);
}

}  // namespace

TEST(float_approximations) { approximations(); }
TEST(float_worst_approximations) {
  // Off by up to the documented error, and not equal to what correct rounding gives.
  tr0n_emulator_configure("worst", 1);
  approximations();
  std::vector<std::vector<uint64_t>> columns(1);
  for (int k = 1; k < 1000; ++k) columns[0].push_back(image(0.001f * static_cast<float>(k)));
  const auto results = run_instruction("ex2.approx.f32", slot<float>(), {slot<float>()}, columns);
  int different = 0;
  for (size_t i = 0; i < results.size(); ++i)
    different += of_image<float>(results[i]) !=
                 static_cast<float>(std::exp2(static_cast<double>(of_image<float>(columns[0][i]))));
  CHECK(different > 100);
  tr0n_emulator_configure("worst", 0);
}

TEST(float_approximations_at_the_edges) {
  const auto v = edges<float>();
  check1<float>(
      "ex2.approx.ftz.f32",
      std::vector<float>{0.0f, -0.0f, 0x1p-149f, -0x1p-149f, -std::numeric_limits<float>::infinity(),
                         std::numeric_limits<float>::infinity(), -140.0f, 10.0f, NAN},
      [](float a) {
        return std::isnan(a) ? a : a == 10 ? 1024.0f : a < -1 ? 0.0f : a > 1 ? a : 1.0f;
      });
  check1<float>("rcp.approx.ftz.f32",
                std::vector<float>{0.0f, -0.0f, 0x1p-149f, -0x1p-149f, 2.0f, -INFINITY, 0x1p127f},
                [](float a) {
                  return a == 2                           ? 0.5f
                         : a == 0x1p127f || std::isinf(a) ? std::copysign(0.0f, a)
                                                          : std::copysign(INFINITY, a);
                });
  check1<float>(
      "lg2.approx.f32", std::vector<float>{0.0f, -0.0f, -1.0f, 1.0f, 8.0f, 0x1p-149f, INFINITY}, [](float a) {
        return a < 0 ? NAN : a == 0 ? -INFINITY : a == 1 ? 0.0f : a == 8 ? 3.0f : a == INFINITY ? a : -149.0f;
      });
  check1<bool>("testp.finite.f32", v, [](float a) { return a - a == 0; });
  check1<bool>("testp.infinite.f32", v, [](float a) { return a == a && a - a != 0; });
  check1<bool>("testp.notanumber.f32", v, [](float a) { return a != a; });
  check1<bool>("testp.number.f32", v, [](float a) { return a == a; });
  check1<bool>("testp.normal.f32", v, [](float a) { return a - a == 0 && std::fabs(a) >= 0x1p-126f; });
  check1<bool>("testp.subnormal.f32", v, [](float a) { return a != 0 && std::fabs(a) < 0x1p-126f; });
  // The double-precision seeds: the upper word alone, 20 bits good.
  for (const char* name : {"rcp.approx.ftz.f64", "rsqrt.approx.ftz.f64"}) {
    std::vector<std::vector<uint64_t>> columns(1);
    for (int k = 1; k < 200; ++k) columns[0].push_back(image(0.37 * k * std::pow(1.7, k % 20)));
    const auto results = run_instruction(name, slot<double>(), {slot<double>()}, columns);
    for (size_t i = 0; i < results.size(); ++i) {
      const double x = of_image<double>(columns[0][i]), exact = name[1] == 'c' ? 1 / x : 1 / std::sqrt(x);
      CHECK((results[i] & 0xFFFFFFFF) == 0);
      CHECK(std::fabs(of_image<double>(results[i]) - exact) <= 0x1p-19 * exact);
    }
  }
}

TEST(float_divisions) {
  std::vector<float> a, b;
  for (int k = 1; k < 60; ++k)
    a.push_back(0.37f * static_cast<float>(k)),
        b.push_back(std::ldexp(1.1f + 0.01f * static_cast<float>(k), k * 4 - 120));
  for (const char* name : {"div.approx.f32", "div.full.f32"}) {
    std::vector<std::vector<uint64_t>> columns(2);
    for (const float x : a) {
      for (const float y : b) columns[0].push_back(image(x)), columns[1].push_back(image(y));
    }
    const auto results = run_instruction(name, slot<float>(), {slot<float>(), slot<float>()}, columns);
    for (size_t i = 0; i < results.size(); ++i) {
      const double exact = static_cast<double>(of_image<float>(columns[0][i])) /
                           static_cast<double>(of_image<float>(columns[1][i]));
      CHECK(std::fabs(static_cast<double>(of_image<float>(results[i])) - exact) <= 0x1p-22 * exact);
    }
  }
}

}  // namespace tr0n::emulator::test
