#include <random>

#include "emulator/tests/table.h"

// Integer instructions against 128-bit arithmetic and bit-by-bit definitions.
namespace tr0n::emulator::test {
namespace {

using Wide = __int128;

template <class T>
void arithmetic(const std::string& type) {
  const std::vector<T> v = edges<T>();
  constexpr unsigned bits = 8 * sizeof(T);
  const auto high = [](Wide product) { return static_cast<T>(product >> bits); };
  check2<T>("add." + type, v, v, [](T a, T b) { return static_cast<T>(Wide{a} + Wide{b}); });
  check2<T>("sub." + type, v, v, [](T a, T b) { return static_cast<T>(Wide{a} - Wide{b}); });
  check2<T>("mul.lo." + type, v, v, [](T a, T b) {
    return static_cast<T>(static_cast<unsigned __int128>(Wide{a}) * static_cast<unsigned __int128>(Wide{b}));
  });
  check2<T>("mul.hi." + type, v, v, [&](T a, T b) {
    if (std::is_signed_v<T>) return high(Wide{a} * Wide{b});
    return static_cast<T>((static_cast<unsigned __int128>(a) * static_cast<unsigned __int128>(b)) >> bits);
  });
  check2<T>("min." + type, v, v, [](T a, T b) { return Wide{a} < Wide{b} ? a : b; });
  check2<T>("max." + type, v, v, [](T a, T b) { return Wide{a} > Wide{b} ? a : b; });
  std::vector<T> divisors;
  for (const T x : v) {
    if (x != 0) divisors.push_back(x);
  }
  check2<T>("div." + type, v, divisors, [](T a, T b) { return static_cast<T>(Wide{a} / Wide{b}); });
  check2<T>("rem." + type, v, divisors, [](T a, T b) { return static_cast<T>(Wide{a} % Wide{b}); });
  const std::vector<T> few = {static_cast<T>(0), static_cast<T>(1), v[11], v[12], static_cast<T>(-1), v[16]};
  check3<T>("mad.lo." + type, few, few, few, [](T a, T b, T c) {
    return static_cast<T>(static_cast<unsigned __int128>(Wide{a}) * static_cast<unsigned __int128>(Wide{b}) +
                          static_cast<unsigned __int128>(Wide{c}));
  });
  check3<T>("mad.hi." + type, few, few, few, [&](T a, T b, T c) {
    const auto product =
        std::is_signed_v<T>
            ? high(Wide{a} * Wide{b})
            : static_cast<T>((static_cast<unsigned __int128>(a) * static_cast<unsigned __int128>(b)) >> bits);
    return static_cast<T>(Wide{product} + Wide{c});
  });
  check3<T>("sad." + type, few, few, few, [](T a, T b, T c) {
    return static_cast<T>(Wide{c} + (Wide{a} > Wide{b} ? Wide{a} - Wide{b} : Wide{b} - Wide{a}));
  });
  if constexpr (std::is_signed_v<T>) {
    check1<T>("abs." + type, v, [](T a) { return static_cast<T>(Wide{a} < 0 ? -Wide{a} : Wide{a}); });
    check1<T>("neg." + type, v, [](T a) { return static_cast<T>(-Wide{a}); });
  }
}

template <class T, class D>
void widening(const std::string& type) {
  const std::vector<T> v = edges<T>();
  const std::vector<D> c = {0, 1, static_cast<D>(-1), static_cast<D>(Wide{1} << (8 * sizeof(D) - 1)), 12345};
  check2<D>("mul.wide." + type, v, v, [](T a, T b) { return static_cast<D>(Wide{a} * Wide{b}); });
  check3<D>("mad.wide." + type, v, std::vector<T>(v.begin() + 8, v.end()), c,
            [](T a, T b, D z) { return static_cast<D>(Wide{a} * Wide{b} + Wide{z}); });
}

/// The definitions of the PTX document, bit by bit.
template <class T>
T bit_field(T a, uint32_t b, uint32_t c) {
  constexpr int last = 8 * sizeof(T) - 1;
  const int position = static_cast<int>(b & 0xFF), length = static_cast<int>(c & 0xFF);
  const auto bit = [&](int k) {
    return static_cast<unsigned>(static_cast<std::make_unsigned_t<T>>(a) >> k & 1);
  };
  const unsigned sign = std::is_unsigned_v<T> || length == 0 ? 0 : bit(std::min(position + length - 1, last));
  std::make_unsigned_t<T> d = 0;
  for (int i = 0; i <= last; ++i)
    d |= static_cast<std::make_unsigned_t<T>>(i < length && position + i <= last ? bit(position + i) : sign)
         << i;
  return static_cast<T>(d);
}
template <class T>
void bits(const std::string& width) {
  const std::vector<T> v = edges<T>();
  const std::vector<uint32_t> positions = {0, 1, 5, 16, 31, 32, 33, 63, 64, 200, 255, 256 + 3};
  using S = std::make_signed_t<T>;
  check3<T>("bfe.u" + width, v, positions, positions,
            [](T a, uint32_t b, uint32_t c) { return bit_field<T>(a, b, c); });
  check3<S>("bfe.s" + width, edges<S>(), positions, positions,
            [](S a, uint32_t b, uint32_t c) { return bit_field<S>(a, b, c); });
  for (const uint32_t length : {0U, 1U, 7U, 32U, 64U, 255U}) {
    check3<T>(
        "bfi.b" + width, v, v, positions,
        [&](T a, T b, uint32_t c) {
          T f = b;
          for (int i = 0; i < static_cast<int>(length) &&
                          static_cast<int>(c & 0xFF) + i < static_cast<int>(8 * sizeof(T));
               ++i) {
            const int to = static_cast<int>(c & 0xFF) + i;
            f = static_cast<T>((f & ~(T{1} << to)) |
                               ((i < static_cast<int>(8 * sizeof(T)) ? a >> i & 1 : 0) << to));
          }
          return f;
        },
        ", " + std::to_string(length));
  }
  const auto ones = [](T a) {
    uint32_t n = 0;
    for (; a != 0; a &= static_cast<T>(a - 1)) ++n;
    return n;
  };
  const auto leading = [](T a) {
    uint32_t n = 0;
    for (int k = 8 * sizeof(T) - 1; k >= 0 && (a >> k & 1) == 0; --k) ++n;
    return n;
  };
  const auto reversed = [](T a) {
    T r = 0;
    for (unsigned k = 0; k < 8 * sizeof(T); ++k)
      if ((a >> k & 1) != 0) r |= T{1} << (8 * sizeof(T) - 1 - k);
    return r;
  };
  check1<uint32_t>("popc.b" + width, v, ones);
  check1<uint32_t>("clz.b" + width, v, leading);
  check1<T>("brev.b" + width, v, reversed);
  check1<uint32_t>("bfind.u" + width, v,
                   [&](T a) { return a == 0 ? ~0U : static_cast<uint32_t>(8 * sizeof(T)) - 1 - leading(a); });
  check1<uint32_t>("bfind.shiftamt.u" + width, v, [&](T a) { return a == 0 ? ~0U : leading(a); });
  check1<uint32_t>("bfind.s" + width, edges<S>(), [&](S a) {
    const T m = static_cast<T>(a < 0 ? ~a : a);
    return m == 0 ? ~0U : static_cast<uint32_t>(8 * sizeof(T)) - 1 - leading(m);
  });
}

template <class T>
void shifts(const std::string& width) {
  const std::vector<T> v = edges<T>();
  using S = std::make_signed_t<T>;
  const std::vector<uint32_t> amounts = {0, 1, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 1000, 0xFFFFFFFF};
  check2<T>("shl.b" + width, v, amounts, [](T a, uint32_t n) {
    for (uint32_t k = 0; k < std::min(n, 64U); ++k) a = static_cast<T>(a * 2);
    return a;
  });
  check2<T>("shr.u" + width, v, amounts, [](T a, uint32_t n) {
    for (uint32_t k = 0; k < std::min(n, 64U); ++k) a = static_cast<T>(a / 2);
    return a;
  });
  check2<T>("shr.b" + width, v, amounts, [](T a, uint32_t n) {
    for (uint32_t k = 0; k < std::min(n, 64U); ++k) a = static_cast<T>(a / 2);
    return a;
  });
  check2<S>("shr.s" + width, edges<S>(), amounts, [](S a, uint32_t n) {
    for (uint32_t k = 0; k < std::min(n, 64U); ++k) a = static_cast<S>((Wide{a} - (a < 0 ? 1 : 0)) / 2);
    return a;
  });
}

}  // namespace

TEST(integer_arithmetic) {
  arithmetic<uint16_t>("u16");
  arithmetic<int16_t>("s16");
  arithmetic<uint32_t>("u32");
  arithmetic<int32_t>("s32");
  arithmetic<uint64_t>("u64");
  arithmetic<int64_t>("s64");
}

TEST(integer_widening_products) {
  widening<uint16_t, uint32_t>("u16");
  widening<int16_t, int32_t>("s16");
  widening<uint32_t, uint64_t>("u32");
  widening<int32_t, int64_t>("s32");
}

TEST(integer_saturation_and_24_bits) {
  const auto v = edges<int32_t>();
  const auto u = edges<uint32_t>();
  const auto clamp = [](Wide x) {
    return static_cast<int32_t>(std::min<Wide>(std::max<Wide>(x, INT32_MIN), INT32_MAX));
  };
  check2<int32_t>("add.sat.s32", v, v, [&](int32_t a, int32_t b) { return clamp(Wide{a} + b); });
  check2<int32_t>("sub.sat.s32", v, v, [&](int32_t a, int32_t b) { return clamp(Wide{a} - b); });
  const auto signed24 = [](int32_t a) {
    const int32_t low = a & 0xFFFFFF;
    return Wide{low >= 0x800000 ? low - 0x1000000 : low};
  };
  check2<int32_t>("mul24.lo.s32", v, v,
                  [&](int32_t a, int32_t b) { return static_cast<int32_t>(signed24(a) * signed24(b)); });
  check2<int32_t>("mul24.hi.s32", v, v, [&](int32_t a, int32_t b) {
    return static_cast<int32_t>((signed24(a) * signed24(b)) >> 16);
  });
  check2<uint32_t>("mul24.lo.u32", u, u, [](uint32_t a, uint32_t b) {
    return static_cast<uint32_t>(uint64_t{a & 0xFFFFFF} * (b & 0xFFFFFF));
  });
  check2<uint32_t>("mul24.hi.u32", u, u, [](uint32_t a, uint32_t b) {
    return static_cast<uint32_t>(uint64_t{a & 0xFFFFFF} * (b & 0xFFFFFF) / 65536);
  });
}

TEST(integer_shifts) {
  shifts<uint16_t>("16");
  shifts<uint32_t>("32");
  shifts<uint64_t>("64");
}

TEST(integer_bits) {
  bits<uint32_t>("32");
  bits<uint64_t>("64");
}

TEST(integer_logic) {
  const auto v = edges<uint32_t>();
  const auto w = edges<uint64_t>();
  check2<uint32_t>("and.b32", v, v, [](uint32_t a, uint32_t b) { return a & b; });
  check2<uint32_t>("or.b32", v, v, [](uint32_t a, uint32_t b) { return a | b; });
  check2<uint64_t>("xor.b64", w, w, [](uint64_t a, uint64_t b) { return a ^ b; });
  check1<uint32_t>("not.b32", v, [](uint32_t a) { return 0xFFFFFFFFU - a; });
  check1<uint64_t>("cnot.b64", w, [](uint64_t a) { return a == 0 ? uint64_t{1} : uint64_t{0}; });
  for (const int table : {0x00, 0x96, 0xE8, 0x80, 0xFE, 0xCA, 0x1B, 0xFF}) {
    check3<uint32_t>(
        "lop3.b32", v, v, v,
        [&](uint32_t a, uint32_t b, uint32_t c) {
          uint32_t d = 0;
          for (int k = 0; k < 32; ++k)
            d |= static_cast<uint32_t>(table >> ((a >> k & 1) * 4 + (b >> k & 1) * 2 + (c >> k & 1)) & 1)
                 << k;
          return d;
        },
        ", " + std::to_string(table));
  }
  const std::vector<uint32_t> amounts = {0, 1, 5, 31, 32, 33, 64, 0xFFFFFFFF};
  for (const bool wrap : {false, true}) {
    const auto shifted = [&](uint32_t n) { return wrap ? n % 32 : std::min(n, 32U); };
    check3<uint32_t>(
        wrap ? "shf.l.wrap.b32" : "shf.l.clamp.b32", v, v, amounts, [&](uint32_t a, uint32_t b, uint32_t n) {
          return static_cast<uint32_t>(((static_cast<unsigned __int128>(b) << 32 | a) << shifted(n)) >> 32);
        });
    check3<uint32_t>(
        wrap ? "shf.r.wrap.b32" : "shf.r.clamp.b32", v, v, amounts, [&](uint32_t a, uint32_t b, uint32_t n) {
          return static_cast<uint32_t>((static_cast<unsigned __int128>(b) << 32 | a) >> shifted(n));
        });
  }
}

TEST(integer_permute_and_dot) {
  const std::vector<uint32_t> words = {0x33221100, 0x80FF7F01, 0xDEADBEEF},
                              selectors = {0x3210, 0x7654, 0x0123, 0xFEDC, 0x8888, 0x4071, 0, 1, 2, 3};
  const auto byte = [](uint32_t a, uint32_t b, unsigned k) {
    return static_cast<uint32_t>((uint64_t{b} << 32 | a) >> (8 * k) & 0xFF);
  };
  check3<uint32_t>("prmt.b32", words, words, selectors, [&](uint32_t a, uint32_t b, uint32_t s) {
    uint32_t d = 0;
    for (unsigned k = 0; k < 4; ++k) {
      const unsigned nibble = s >> (4 * k) & 15;
      uint32_t x = byte(a, b, nibble & 7);
      if (nibble >= 8) x = x >= 128 ? 255 : 0;
      d |= x << (8 * k);
    }
    return d;
  });
  // Tables of the document: bytes of d from the most significant one, for selector 0 to 3.
  const struct {
    const char* mode;
    unsigned rows[4][4];
  } modes[] = {{"f4e", {{3, 2, 1, 0}, {4, 3, 2, 1}, {5, 4, 3, 2}, {6, 5, 4, 3}}},
               {"b4e", {{5, 6, 7, 0}, {6, 7, 0, 1}, {7, 0, 1, 2}, {0, 1, 2, 3}}},
               {"rc8", {{0, 0, 0, 0}, {1, 1, 1, 1}, {2, 2, 2, 2}, {3, 3, 3, 3}}},
               {"ecl", {{3, 2, 1, 0}, {3, 2, 1, 1}, {3, 2, 2, 2}, {3, 3, 3, 3}}},
               {"ecr", {{0, 0, 0, 0}, {1, 1, 1, 0}, {2, 2, 1, 0}, {3, 2, 1, 0}}},
               {"rc16", {{1, 0, 1, 0}, {3, 2, 3, 2}, {1, 0, 1, 0}, {3, 2, 3, 2}}}};
  for (const auto& mode : modes) {
    check3<uint32_t>(std::string("prmt.b32.") + mode.mode, words, words, std::vector<uint32_t>{0, 1, 2, 3},
                     [&](uint32_t a, uint32_t b, uint32_t s) {
                       uint32_t d = 0;
                       for (unsigned k = 0; k < 4; ++k) d = d << 8 | byte(a, b, mode.rows[s][k]);
                       return d;
                     });
  }
  for (const bool sa : {false, true}) {
    for (const bool sb : {false, true}) {
      check3<uint32_t>(std::string("dp4a.") + (sa ? "s32" : "u32") + (sb ? ".s32" : ".u32"), words, words,
                       selectors, [&](uint32_t a, uint32_t b, uint32_t c) {
                         Wide sum = c;
                         for (unsigned k = 0; k < 4; ++k) {
                           const int x = static_cast<int>(a >> (8 * k) & 255),
                                     y = static_cast<int>(b >> (8 * k) & 255);
                           sum += Wide{sa && x > 127 ? x - 256 : x} * (sb && y > 127 ? y - 256 : y);
                         }
                         return static_cast<uint32_t>(sum);
                       });
    }
  }
}

TEST(integer_carries) {
  // A 128-bit sum, difference and product by 32-bit pieces.
  const std::string text = header() + R"(
.visible .entry k(.param .u64 in, .param .u64 out)
{
.reg .b32 %a<4>, %b<4>, %s<4>, %d<4>, %p<4>, %t;
.reg .b64 %in, %out, %o;
mov.u32 %t, %tid.x;
ld.param.u64 %in, [in];
ld.param.u64 %out, [out];
mad.wide.u32 %in, %t, 32, %in;
mad.wide.u32 %out, %t, 48, %out;
ld.global.v4.u32 {%a0, %a1, %a2, %a3}, [%in];
ld.global.v4.u32 {%b0, %b1, %b2, %b3}, [%in+16];
add.cc.u32 %s0, %a0, %b0;
addc.cc.u32 %s1, %a1, %b1;
addc.cc.u32 %s2, %a2, %b2;
addc.u32 %s3, %a3, %b3;
st.global.v4.u32 [%out], {%s0, %s1, %s2, %s3};
sub.cc.u32 %d0, %a0, %b0;
subc.cc.u32 %d1, %a1, %b1;
subc.cc.u32 %d2, %a2, %b2;
subc.u32 %d3, %a3, %b3;
st.global.v4.u32 [%out+16], {%d0, %d1, %d2, %d3};
mul.lo.u32 %p0, %a0, %b0;
mul.hi.u32 %p1, %a0, %b0;
mad.lo.cc.u32 %p1, %a1, %b0, %p1;
madc.hi.u32 %p2, %a1, %b0, 0;
mad.lo.cc.u32 %p1, %a0, %b1, %p1;
madc.hi.cc.u32 %p2, %a0, %b1, %p2;
addc.u32 %p3, 0, 0;
mad.lo.cc.u32 %p2, %a1, %b1, %p2;
madc.hi.u32 %p3, %a1, %b1, %p3;
st.global.v4.u32 [%out+32], {%p0, %p1, %p2, %p3};
ret;
}
)";
  std::mt19937_64 random(7);
  std::vector<uint64_t> in;
  const uint64_t special[] = {0, ~0ULL, 0xFFFFFFFFULL, 0x8000000000000000ULL};
  for (int k = 0; k < 32 * 4; ++k) in.push_back(random() % 3 == 0 ? special[random() % 4] : random());
  Device device;
  const CUdeviceptr from = device.upload(in), to = device.allocate(32 * 48);
  CHECK(device.run(device.load(text), "k", {}, from, to) == CUDA_SUCCESS);
  const auto out = device.download<uint64_t>(to, 32 * 6);
  for (size_t t = 0; t < 32; ++t) {
    using U = unsigned __int128;
    const U a = static_cast<U>(in[4 * t + 1]) << 64 | in[4 * t],
            b = static_cast<U>(in[4 * t + 3]) << 64 | in[4 * t + 2];
    const auto value = [&](size_t k) {
      return static_cast<U>(out[6 * t + 2 * k + 1]) << 64 | out[6 * t + 2 * k];
    };
    CHECK(value(0) == a + b);
    CHECK(value(1) == a - b);
    CHECK(value(2) == static_cast<U>(in[4 * t]) * in[4 * t + 2]);
  }
}

}  // namespace tr0n::emulator::test
