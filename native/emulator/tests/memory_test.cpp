#include "emulator/tests/device.h"

namespace tr0n::emulator::test {

TEST(memory_vectors_and_widths) {
  const std::string text = header() + R"(
.visible .entry k(.param .u64 in, .param .u64 out)
{
.reg .b16 %h<4>;
.reg .b32 %t, %r<8>;
.reg .b64 %i, %o, %d<4>;
.reg .f32 %f<4>;
.reg .f64 %g<2>;
mov.u32 %t, %tid.x;
ld.param.u64 %i, [in];
ld.param.u64 %o, [out];
mad.wide.u32 %i, %t, 16, %i;
mad.wide.u32 %o, %t, 64, %o;
ld.global.s8 %r0, [%i];
ld.global.u8 %r1, [%i];
ld.global.s16 %r2, [%i+2];
ld.global.u16 %h0, [%i+2];
cvt.u32.u16 %r3, %h0;
st.global.v4.u32 [%o], {%r0, %r1, %r2, %r3};
ld.global.nc.v4.f32 {%f0, %f1, %f2, %f3}, [%i];
st.global.v4.f32 [%o+16], {%f3, %f2, %f1, %f0};
ld.global.v2.f64 {%g0, %g1}, [%i];
st.global.v2.f64 [%o+32], {%g1, %g0};
ld.global.s32 %d0, [%i+4];
st.global.b64 [%o+48], %d0;
ld.volatile.global.v2.u16 {%h1, %h2}, [%i+8];
mov.b32 %r4, {%h2, %h1};
st.global.u8 [%o+56], %r4;
st.global.u8 [%o+57], 7;
st.global.u16 [%o+58], %h2;
mov.b64 {%r5, %r6}, %d0;
st.global.u32 [%o+60], %r6;
ret;
}
)";
  std::vector<uint8_t> in(32 * 16);
  for (size_t k = 0; k < in.size(); ++k) in[k] = static_cast<uint8_t>(k * 37 + 130);
  Device device;
  const CUdeviceptr from = device.upload(in), to = device.allocate(32 * 64);
  CHECK_SAYING(device.run(device.load(text), "k", {}, from, to) == CUDA_SUCCESS, report());
  const auto out = device.download<uint8_t>(to, 32 * 64);
  for (size_t t = 0; t < 32; ++t) {
    const uint8_t *a = in.data() + 16 * t, *b = out.data() + 64 * t;
    const auto word = [](const uint8_t* at) {
      uint32_t x;
      std::memcpy(&x, at, 4);
      return x;
    };
    CHECK(word(b) == static_cast<uint32_t>(int32_t{static_cast<int8_t>(a[0])}) && word(b + 4) == a[0]);
    int16_t half;
    std::memcpy(&half, a + 2, 2);
    CHECK(word(b + 8) == static_cast<uint32_t>(int32_t{half}) && word(b + 12) == static_cast<uint16_t>(half));
    for (int k = 0; k < 4; ++k) CHECK(word(b + 16 + 4 * k) == word(a + 12 - 4 * k));
    CHECK(std::memcmp(b + 32, a + 8, 8) == 0 && std::memcmp(b + 40, a, 8) == 0);
    CHECK(word(b + 48) == word(a + 4) && word(b + 52) == ((a[7] & 0x80) != 0 ? ~0U : 0U));
    CHECK(b[56] == a[10] && b[57] == 7 && b[58] == a[10] && b[59] == a[11] && word(b + 60) == word(b + 52));
  }
}

TEST(memory_spaces_and_generic_addresses) {
  const std::string text = header() + R"(
.global .align 4 .u32 counter = 5;
.global .align 8 .u64 pointer = generic(table+8);
.const .align 4 .b32 table[4] = {10, 20, 30, 40};
.visible .global .align 4 .b8 bytes[8] = {1, 2, 3};
.extern .shared .align 16 .b8 dynamic[];
.visible .entry k(.param .align 8 .b8 list[32], .param .u64 out)
{
.reg .pred %p;
.reg .b32 %t, %s, %r<12>;
.reg .b64 %o, %d<12>;
.local .align 8 .b8 depot[64];
.shared .align 4 .b8 own[128];
mov.u32 %t, %tid.x;
ld.param.u64 %o, [out];
mad.wide.u32 %o, %t, 32, %o;
ld.const.u32 %r0, [table+4];
ld.global.u32 %r1, [counter];
ld.global.u64 %d0, [pointer];
ld.u32 %r2, [%d0];
ld.global.u8 %r3, [bytes+2];
st.global.v4.u32 [%o], {%r0, %r1, %r2, %r3};
// local memory by its own and by generic addresses
mov.u64 %d1, depot;
cvta.local.u64 %d2, %d1;
and.b32 %r4, %t, 7;
mad.wide.u32 %d3, %r4, 4, %d1;
mad.wide.u32 %d4, %r4, 4, %d2;
st.local.u32 [%d3], %t;
ld.u32 %r5, [%d4];
// shared memory likewise
mov.u32 %s, own;
mad.lo.u32 %s, %t, 4, %s;
mov.u64 %d5, own;
cvta.shared.u64 %d6, %d5;
mad.wide.u32 %d6, %t, 4, %d6;
st.u32 [%d6], %t;
ld.shared.u32 %r6, [%s];
cvta.to.shared.u64 %d7, %d6;
cvt.u32.u64 %r7, %d7;
sub.u32 %r7, %r7, %s;
// dynamic shared memory, then an element of the parameter by a computed place
mov.u32 %r8, dynamic;
mad.lo.u32 %r8, %t, 4, %r8;
st.shared.u32 [%r8], %r5;
ld.shared.u32 %r8, [%r8];
add.u32 %r7, %r7, %r8;
mov.b64 %d8, list;
and.b32 %r9, %t, 3;
mad.wide.u32 %d8, %r9, 8, %d8;
ld.param.u64 %d9, [%d8];
cvt.u32.u64 %r10, %d9;
st.global.v4.u32 [%o+16], {%r5, %r6, %r7, %r10};
ret;
}
)";
  Device device;
  const CUmodule module = device.load(text);
  const CUdeviceptr out = device.allocate(32 * 32);
  CUfunction function = nullptr;
  CHECK(cuModuleGetFunction(&function, module, "k") == CUDA_SUCCESS);
  uint64_t list[4] = {11, 22, 33, 44};
  CUdeviceptr argument = out;
  void* parameters[] = {list, &argument};
  CHECK(cuLaunchKernel(function, 1, 1, 1, 32, 1, 1, 128, nullptr, parameters, nullptr) == CUDA_SUCCESS);
  CHECK_SAYING(cuCtxSynchronize() == CUDA_SUCCESS, report());
  const auto got = device.download<uint32_t>(out, 32 * 8);
  for (uint32_t t = 0; t < 32; ++t) {
    const uint32_t expected[] = {20, 5, 30, 3, t, t, t, 11 * (t % 4 + 1)};
    for (uint32_t k = 0; k < 8; ++k)
      CHECK_SAYING(got[8 * t + k] == expected[k], std::to_string(k) + ": " + std::to_string(got[8 * t + k]));
  }
  CUdeviceptr variable = 0;
  size_t bytes = 0;
  CHECK(cuModuleGetGlobal_v2(&variable, &bytes, module, "bytes") == CUDA_SUCCESS && bytes == 8);
  CHECK(device.download<uint8_t>(variable, 4) == (std::vector<uint8_t>{1, 2, 3, 0}));
  CHECK(cuModuleGetGlobal_v2(&variable, &bytes, module, "nothing") == CUDA_ERROR_NOT_FOUND);
}

TEST(memory_asynchronous_copies) {
  // 4-byte copies of which a part is read and the rest zero, 16-byte ones, two groups waited for one by one.
  const std::string text = header() + R"(
.visible .entry k(.param .u64 in, .param .u64 out)
{
.reg .pred %p;
.reg .b32 %t, %s, %n, %r<8>;
.reg .b64 %i, %j, %o;
.shared .align 16 .b8 first[128];
.shared .align 16 .b8 second[512];
mov.u32 %t, %tid.x;
ld.param.u64 %i, [in];
ld.param.u64 %o, [out];
mov.u32 %s, first;
mad.lo.u32 %s, %t, 4, %s;
mad.wide.u32 %j, %t, 4, %i;
rem.u32 %n, %t, 5;
cp.async.ca.shared.global [%s], [%j], 4, %n;
cp.async.commit_group;
mov.u32 %r0, second;
mad.lo.u32 %r0, %t, 16, %r0;
mad.wide.u32 %j, %t, 16, %i;
setp.ge.u32 %p, %t, 16;
cp.async.cg.shared.global [%r0], [%j], 16, %p;
cp.async.commit_group;
cp.async.wait_group 1;
ld.shared.u32 %r1, [%s];
cp.async.wait_all;
ld.shared.v4.u32 {%r2, %r3, %r4, %r5}, [%r0];
mad.wide.u32 %o, %t, 32, %o;
st.global.u32 [%o], %r1;
st.global.v4.u32 [%o+16], {%r2, %r3, %r4, %r5};
ret;
}
)";
  std::vector<uint32_t> in(128);
  for (size_t k = 0; k < in.size(); ++k) in[k] = static_cast<uint32_t>(0x01020304 * (k + 1));
  Device device;
  const CUdeviceptr from = device.upload(in), to = device.upload(std::vector<uint32_t>(256));
  CHECK_SAYING(device.run(device.load(text), "k", {}, from, to) == CUDA_SUCCESS, report());
  const auto got = device.download<uint32_t>(to, 256);
  for (uint32_t t = 0; t < 32; ++t) {
    const uint32_t taken = t % 5, kept = taken == 4 ? ~0U : (1U << 8 * taken) - 1;
    CHECK(got[8 * t] == (in[t] & kept));
    for (uint32_t k = 0; k < 4; ++k) CHECK(got[8 * t + 4 + k] == (t < 16 ? in[4 * t + k] : 0));
  }
}

}  // namespace tr0n::emulator::test
