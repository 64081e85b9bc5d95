#include "emulator/tests/table.h"

namespace tr0n::emulator::test {
namespace {

template <class T>
void comparisons(const std::string& type) {
  const auto v = edges<T>();
  const auto check = [&](const std::string& op, auto reference) {
    check2<bool>("setp." + op + "." + type, v, v, reference);
  };
  check("eq", [](T a, T b) { return a == b; });
  check("ne", [](T a, T b) { return a == a && b == b && a != b; });
  check("lt", [](T a, T b) { return a < b; });
  check("le", [](T a, T b) { return a < b || a == b; });
  check("gt", [](T a, T b) { return b < a; });
  check("ge", [](T a, T b) { return b < a || a == b; });
  if constexpr (std::is_floating_point_v<T>) {
    const auto unordered = [](T a, T b) { return std::isnan(a) || std::isnan(b); };
    check("equ", [&](T a, T b) { return unordered(a, b) || a == b; });
    check("neu", [&](T a, T b) { return unordered(a, b) || a != b; });
    check("ltu", [&](T a, T b) { return unordered(a, b) || a < b; });
    check("leu", [&](T a, T b) { return unordered(a, b) || a <= b; });
    check("gtu", [&](T a, T b) { return unordered(a, b) || a > b; });
    check("geu", [&](T a, T b) { return unordered(a, b) || a >= b; });
    check("num", [&](T a, T b) { return !unordered(a, b); });
    check("nan", unordered);
  }
}

}  // namespace

TEST(compare_types) {
  comparisons<uint16_t>("u16");
  comparisons<int16_t>("s16");
  comparisons<uint32_t>("u32");
  comparisons<int32_t>("s32");
  comparisons<uint64_t>("u64");
  comparisons<int64_t>("s64");
  comparisons<float>("f32");
  comparisons<double>("f64");
  const auto u = edges<uint32_t>();
  check2<bool>("setp.lo.u32", u, u, [](uint32_t a, uint32_t b) { return a < b; });
  check2<bool>("setp.hs.u32", u, u, [](uint32_t a, uint32_t b) { return a >= b; });
  check2<bool>("setp.ls.u32", u, u, [](uint32_t a, uint32_t b) { return a <= b; });
  check2<bool>("setp.hi.u32", u, u, [](uint32_t a, uint32_t b) { return a > b; });
}

TEST(compare_combinations) {
  const auto v = edges<int32_t>();
  const std::vector<bool> p = {false, true};
  check3<bool>("setp.lt.and.s32", v, v, p, [](int32_t a, int32_t b, bool c) { return a < b && c; });
  check3<bool>("setp.lt.or.s32", v, v, p, [](int32_t a, int32_t b, bool c) { return a < b || c; });
  check3<bool>("setp.ge.xor.s32", v, v, p, [](int32_t a, int32_t b, bool c) { return (a >= b) != c; });
  const auto f = edges<float>();
  check3<bool>("setp.gtu.and.ftz.f32", f, f, p, [](float a, float b, bool c) {
    if (std::fabs(a) < 0x1p-126f) a = 0;
    if (std::fabs(b) < 0x1p-126f) b = 0;
    return (std::isnan(a) || std::isnan(b) || a > b) && c;
  });
  check2<uint32_t>("set.le.u32.f32", f, f, [](float a, float b) { return a <= b ? 0xFFFFFFFFU : 0U; });
  check2<float>("set.ne.f32.s32", v, v, [](int32_t a, int32_t b) { return a != b ? 1.0f : 0.0f; });
  check3<int32_t>("selp.s32", v, v, p, [](int32_t a, int32_t b, bool c) { return c ? a : b; });
  check3<double>("selp.f64", std::vector<double>{1, -2}, std::vector<double>{3, -0.0}, p,
                 [](double a, double b, bool c) { return c ? a : b; });
  check3<uint32_t>("slct.u32.s32", edges<uint32_t>(), std::vector<uint32_t>{5}, v,
                   [](uint32_t a, uint32_t b, int32_t c) { return c >= 0 ? a : b; });
  check3<uint64_t>("slct.b64.f32", std::vector<uint64_t>{1, ~0ULL}, std::vector<uint64_t>{5}, f,
                   [](uint64_t a, uint64_t b, float c) { return c >= 0 ? a : b; });
  const std::vector<bool> q = {false, true, true, false};
  check2<bool>("and.pred", p, q, [](bool a, bool b) { return a && b; });
  check2<bool>("or.pred", p, q, [](bool a, bool b) { return a || b; });
  check2<bool>("xor.pred", p, q, [](bool a, bool b) { return a != b; });
  check1<bool>("not.pred", p, [](bool a) { return !a; });
  check1<bool>("mov.pred", p, [](bool a) { return a; });
}

TEST(compare_second_destination) {
  // p = cmp op c, q = !cmp op c.
  const std::string text = header() + R"(
.visible .entry k(.param .u64 out)
{
.reg .pred %p, %q, %c;
.reg .b32 %t, %r<4>;
.reg .b64 %o;
mov.u32 %t, %tid.x;
and.b32 %r0, %t, 1;
setp.ne.b32 %c, %r0, 0;
setp.lt.and.u32 %p|%q, %t, 16, !%c;
selp.b32 %r1, 1, 0, %p;
selp.b32 %r2, 2, 0, %q;
or.b32 %r3, %r1, %r2;
ld.param.u64 %o, [out];
mad.wide.u32 %o, %t, 4, %o;
st.global.u32 [%o], %r3;
ret;
}
)";
  Device device;
  const CUdeviceptr out = device.allocate(128);
  CHECK(device.run(device.load(text), "k", {}, out) == CUDA_SUCCESS);
  const auto got = device.download<uint32_t>(out, 32);
  for (uint32_t t = 0; t < 32; ++t) CHECK(got[t] == (t % 2 == 1 ? 0U : t < 16 ? 1U : 2U));
}

}  // namespace tr0n::emulator::test
