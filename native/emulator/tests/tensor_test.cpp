#include <bit>
#include <cmath>
#include <random>

#include "emulator/tests/device.h"

namespace tr0n::emulator::test {
namespace {

/// mma by m16n8k{K}: a [16, K] row-major, b [K, 8], c [16, 8] in memory; every lane gathers its fragment as
/// the document lists it.
struct Shape {
  std::string name;
  int k, packed;
  std::string type;
};

float as_tf32(float x) { return std::bit_cast<float>(std::bit_cast<uint32_t>(x) & 0xFFFFE000U); }

/// Loads of 32-bit (tf32) or pairs of 16-bit elements, by the tables of the PTX document for each register.
std::string text_of(const Shape& shape) {
  const int bytes = shape.packed == 1 ? 4 : 2, registers_a = 16 * shape.k / 32 / shape.packed,
            registers_b = 8 * shape.k / 32 / shape.packed;
  std::string text = header() +
                     ".visible .entry k(.param .u64 a, .param .u64 b, .param .u64 c, .param .u64 d)\n{\n"
                     ".reg .b16 %h<4>;\n.reg .b32 %l, %g, %t, %x<8>, %y<8>, %r<8>;\n.reg .f32 %c<4>, "
                     "%d<4>;\n.reg .b64 %a, %b, %p, %q, %z;\n"
                     "mov.u32 %l, %laneid;\nshr.u32 %g, %l, 2;\nand.b32 %t, %l, 3;\nld.param.u64 %a, "
                     "[a];\nld.param.u64 %b, [b];\nld.param.u64 %p, [c];\nld.param.u64 %q, [d];\n";
  const auto load = [&](const std::string& to, const std::string& base, int row_add, int column_add,
                        bool is_b, int index) {
    // a: row g + row_add, column t·packed + column_add + e; b: row t·packed + column_add + e, column g.
    std::string code;
    for (int e = 0; e < shape.packed; ++e) {
      code += "mad.lo.u32 %r0, %t, " + std::to_string(shape.packed) + ", " + std::to_string(column_add + e) +
              ";\n";
      if (is_b)
        code += "mad.lo.u32 %r1, %r0, 8, %g;\n";
      else
        code += "add.u32 %r1, %g, " + std::to_string(row_add) + ";\nmad.lo.u32 %r1, %r1, " +
                std::to_string(shape.k) + ", %r0;\n";
      code += "mad.wide.u32 %z, %r1, " + std::to_string(bytes) + ", " + base + ";\n";
      if (shape.packed == 1)
        code += "ld.global.b32 " + to + std::to_string(index) + ", [%z];\n";
      else
        code += "ld.global.b16 %h" + std::to_string(e) + ", [%z];\n";
    }
    if (shape.packed == 2) code += "mov.b32 " + to + std::to_string(index) + ", {%h0, %h1};\n";
    return code;
  };
  const auto vector = [](const std::string& name, int count) {
    std::string list = "{" + name + "0";
    for (int k = 1; k < count; ++k) list += ", " + name + std::to_string(k);
    return list + "}";
  };
  for (int r = 0; r < registers_a; ++r)
    text += load("%x", "%a", r % 2 * 8, r / 2 * 4 * shape.packed, false, r);
  for (int r = 0; r < registers_b; ++r) text += load("%y", "%b", 0, r * 4 * shape.packed, true, r);
  text +=
      "mad.lo.u32 %r2, %g, 4, %t;\nmad.wide.u32 %p, %r2, 8, %p;\nmad.wide.u32 %q, %r2, 8, %q;\n"
      "ld.global.v2.f32 {%c0, %c1}, [%p];\nld.global.v2.f32 {%c2, %c3}, [%p+256];\n";
  const std::string d = vector("%d", 4), a = registers_a == 1 ? "%x0" : vector("%x", registers_a),
                    b = registers_b == 1 ? "{%y0}" : vector("%y", registers_b);
  text += "mma.sync.aligned." + shape.name + ".row.col.f32." + shape.type + "." + shape.type + ".f32 " + d +
          ", " + a + ", " + b + ", " + vector("%c", 4) + ";\n";
  return text + "st.global.v2.f32 [%q], {%d0, %d1};\nst.global.v2.f32 [%q+256], {%d2, %d3};\nret;\n}\n";
}

}  // namespace

TEST(tensor_products) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (const Shape& shape :
       {Shape{"m16n8k4", 4, 1, "tf32"}, Shape{"m16n8k8", 8, 1, "tf32"}, Shape{"m16n8k8", 8, 2, "f16"},
        Shape{"m16n8k16", 16, 2, "f16"}, Shape{"m16n8k8", 8, 2, "bf16"}, Shape{"m16n8k16", 16, 2, "bf16"}}) {
    const auto k = static_cast<size_t>(shape.k);
    std::vector<float> a(16 * k), b(k * 8), c(16 * 8);
    // Values that every format holds, so that the product of the plain matrices is the reference; TF32 has
    // low bits to drop.
    for (auto* m : {&a, &b}) {
      for (float& x : *m)
        x = shape.packed == 2 ? static_cast<float>(static_cast<int>(random() % 33) - 16) / 8 : normal(random);
    }
    for (float& x : c) x = normal(random);
    Device device;
    std::vector<uint16_t> half_a, half_b;
    const auto encode = [&](float x) {
      if (shape.type == "bf16") return static_cast<uint16_t>(std::bit_cast<uint32_t>(x) >> 16);
      if (x == 0) return uint16_t{0};
      int exponent = 0;
      const float fraction = std::frexp(std::fabs(x), &exponent);
      return static_cast<uint16_t>((x < 0 ? 0x8000 : 0) | (exponent + 14) << 10 |
                                   (static_cast<int>(fraction * 2048) & 0x3FF));
    };
    for (const float x : a) half_a.push_back(encode(x));
    for (const float x : b) half_b.push_back(encode(x));
    const CUdeviceptr pa = shape.packed == 1 ? device.upload(a) : device.upload(half_a),
                      pb = shape.packed == 1 ? device.upload(b) : device.upload(half_b);
    const CUdeviceptr pc = device.upload(c), pd = device.allocate(16 * 8 * 4);
    CHECK_SAYING(device.run(device.load(text_of(shape)), "k", {}, pa, pb, pc, pd) == CUDA_SUCCESS,
                 shape.name + shape.type + report());
    const auto d = device.download<float>(pd, 16 * 8);
    for (size_t i = 0; i < 16; ++i) {
      for (size_t j = 0; j < 8; ++j) {
        double sum = static_cast<double>(c[8 * i + j]);
        for (size_t l = 0; l < k; ++l) {
          const float x = shape.packed == 1 ? as_tf32(a[i * k + l]) : a[i * k + l],
                      y = shape.packed == 1 ? as_tf32(b[l * 8 + j]) : b[l * 8 + j];
          sum += static_cast<double>(x) * static_cast<double>(y);
        }
        CHECK_SAYING(std::fabs(static_cast<double>(d[8 * i + j]) - sum) <= 1e-6 * (1 + std::fabs(sum)),
                     shape.name + "." + shape.type);
      }
    }
  }
}

TEST(tensor_wmma) {
  // a by rows from global memory, b by columns from shared memory with a stride of 12, d by columns.
  const std::string text = header() + R"(
.visible .entry k(.param .u64 a, .param .u64 b, .param .u64 c, .param .u64 d)
{
.reg .b32 %t, %s, %r<32>;
.reg .f32 %f<16>;
.reg .b64 %a, %b, %c, %d;
.shared .align 32 .b8 tile[768];
mov.u32 %t, %tid.x;
ld.param.u64 %a, [a];
ld.param.u64 %b, [b];
ld.param.u64 %c, [c];
ld.param.u64 %d, [d];
mad.wide.u32 %b, %t, 24, %b;
mov.u32 %s, tile;
mad.lo.u32 %r0, %t, 24, %s;
ld.global.v2.u32 {%r1, %r2}, [%b];
ld.global.v2.u32 {%r3, %r4}, [%b+8];
ld.global.v2.u32 {%r5, %r6}, [%b+16];
st.shared.v2.u32 [%r0], {%r1, %r2};
st.shared.v2.u32 [%r0+8], {%r3, %r4};
st.shared.v2.u32 [%r0+16], {%r5, %r6};
bar.sync 0;
mov.u32 %r7, 12;
wmma.load.a.sync.aligned.row.m16n16k8.global.tf32 {%r10, %r11, %r12, %r13}, [%a];
wmma.load.b.sync.aligned.col.m16n16k8.shared.tf32 {%r14, %r15, %r16, %r17}, [%s], %r7;
wmma.load.c.sync.aligned.row.m16n16k8.f32 {%f0, %f1, %f2, %f3, %f4, %f5, %f6, %f7}, [%c], 16;
wmma.mma.sync.aligned.row.col.m16n16k8.f32.tf32.tf32.f32 {%f8, %f9, %f10, %f11, %f12, %f13, %f14, %f15}, {%r10, %r11, %r12, %r13}, {%r14, %r15, %r16, %r17}, {%f0, %f1, %f2, %f3, %f4, %f5, %f6, %f7};
wmma.store.d.sync.aligned.col.m16n16k8.global.f32 [%d], {%f8, %f9, %f10, %f11, %f12, %f13, %f14, %f15}, 20;
ret;
}
)";
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<float> a(16 * 8), b(16 * 12), c(16 * 16);
  for (auto* m : {&a, &b, &c}) {
    for (float& x : *m) x = normal(random);
  }
  Device device;
  const CUdeviceptr pa = device.upload(a), pb = device.upload(b), pc = device.upload(c),
                    pd = device.upload(std::vector<float>(16 * 20));
  CHECK_SAYING(device.run(device.load(text), "k", {}, pa, pb, pc, pd) == CUDA_SUCCESS, report());
  const auto d = device.download<float>(pd, 16 * 20);
  for (size_t i = 0; i < 16; ++i) {
    for (size_t j = 0; j < 16; ++j) {
      double sum = static_cast<double>(c[16 * i + j]);
      for (size_t k = 0; k < 8; ++k)
        sum += static_cast<double>(as_tf32(a[8 * i + k])) * static_cast<double>(as_tf32(b[12 * j + k]));
      CHECK(std::fabs(static_cast<double>(d[20 * j + i]) - sum) <= 1e-6 * (1 + std::fabs(sum)));
    }
  }
}

TEST(tensor_ldmatrix) {
  // Four 8 × 8 matrices of 16-bit elements, plain and transposed.
  for (const bool transposed : {false, true}) {
    const std::string text = header() + R"(
.visible .entry k(.param .u64 in, .param .u64 out)
{
.reg .b32 %t, %s, %w, %r<8>;
.reg .b64 %i, %o;
.shared .align 16 .b8 tile[512];
mov.u32 %t, %tid.x;
ld.param.u64 %i, [in];
ld.param.u64 %o, [out];
mov.u32 %s, tile;
mad.lo.u32 %w, %t, 16, %s;
mad.wide.u32 %i, %t, 16, %i;
mad.wide.u32 %o, %t, 16, %o;
ld.global.v4.u32 {%r0, %r1, %r2, %r3}, [%i];
st.shared.v4.u32 [%w], {%r0, %r1, %r2, %r3};
bar.sync 0;
ldmatrix.sync.aligned.m8n8.x4)" +
                             std::string(transposed ? ".trans" : "") +
                             R"(.shared.b16 {%r4, %r5, %r6, %r7}, [%w];
st.global.v4.u32 [%o], {%r4, %r5, %r6, %r7};
ret;
}
)";
    std::vector<uint16_t> in(256);
    for (size_t k = 0; k < 256; ++k) in[k] = static_cast<uint16_t>(k * 257 + 1);
    Device device;
    const CUdeviceptr from = device.upload(in), to = device.allocate(512);
    CHECK_SAYING(device.run(device.load(text), "k", {}, from, to) == CUDA_SUCCESS, report());
    const auto got = device.download<uint16_t>(to, 256);
    for (size_t lane = 0; lane < 32; ++lane) {
      for (size_t matrix = 0; matrix < 4; ++matrix) {
        for (size_t e = 0; e < 2; ++e) {
          const size_t i = lane / 4, j = lane % 4 * 2 + e;  // row and column of the fragment
          CHECK(got[lane * 8 + matrix * 2 + e] == in[matrix * 64 + (transposed ? j * 8 + i : i * 8 + j)]);
        }
      }
    }
  }
}

}  // namespace tr0n::emulator::test
