#include <numeric>

#include "emulator/tests/device.h"

namespace tr0n::emulator::test {
namespace {

/// A kernel over `out` with one word for each thread in %o; the body leaves its result in %v.
std::string kernel(const std::string& body, const std::string& declarations = "",
                   const std::string& before = "") {
  return header() + before + R"(
.visible .entry k(.param .u64 out)
{
.reg .pred %p<8>;
.reg .b32 %t, %v, %r<16>;
.reg .b64 %o, %d<8>;
)" + declarations +
         R"(
mov.u32 %t, %tid.x;
mov.u32 %v, 0;
)" + body +
         R"(
store:
ld.param.u64 %o, [out];
mad.wide.u32 %o, %t, 4, %o;
st.global.u32 [%o], %v;
ret;
}
)";
}

std::vector<uint32_t> run(const std::string& text, unsigned threads = 32) {
  Device device;
  const CUdeviceptr out = device.upload(std::vector<uint32_t>(threads, 0xDEAD));
  CHECK_SAYING(device.run(device.load(text), "k", {1, threads, 0}, out) == CUDA_SUCCESS, report());
  return device.download<uint32_t>(out, threads);
}

}  // namespace

TEST(control_nested_branches) {
  // Two levels of if and else, then the lanes that are active after both have met again.
  const auto got = run(kernel(R"(
setp.lt.u32 %p0, %t, 20;
@%p0 bra small;
and.b32 %r0, %t, 1;
setp.eq.u32 %p1, %r0, 0;
@%p1 bra even;
mov.u32 %v, 1000;
bra inner;
even:
mov.u32 %v, 2000;
inner:
activemask.b32 %r1;
popc.b32 %r2, %r1;
add.u32 %v, %v, %r2;
bra join;
small:
mov.u32 %v, 3000;
join:
activemask.b32 %r1;
popc.b32 %r2, %r1;
shl.b32 %r2, %r2, 16;
add.u32 %v, %v, %r2;
)"));
  for (uint32_t t = 0; t < 32; ++t)
    CHECK(got[t] == (32U << 16) + (t < 20 ? 3000 : (t % 2 == 0 ? 2000U : 1000U) + 12));
}

TEST(control_loops_of_different_length) {
  const auto got = run(kernel(R"(
mov.u32 %r0, 0;
outer:
mov.u32 %r1, 0;
inner:
add.u32 %v, %v, 1;
add.u32 %r1, %r1, 1;
setp.le.u32 %p0, %r1, %r0;
@%p0 bra inner;
add.u32 %r0, %r0, 1;
setp.le.u32 %p1, %r0, %t;
@%p1 bra outer;
activemask.b32 %r2;
setp.ne.u32 %p2, %r2, 0xFFFFFFFF;
@%p2 mov.u32 %v, 0;
)"));
  for (uint32_t t = 0; t < 32; ++t) CHECK(got[t] == (t + 1) * (t + 2) / 2);
}

TEST(control_early_exit_and_break) {
  // Lanes that leave in the middle of a loop, by exit and by a jump out of it.
  const auto got = run(kernel(R"(
loop:
add.u32 %v, %v, 1;
setp.eq.u32 %p0, %v, 5;
setp.gt.and.u32 %p1, %t, 27, %p0;
@%p1 exit;
setp.eq.u32 %p2, %v, %t;
@%p2 bra store;
setp.lt.u32 %p3, %v, 10;
@%p3 bra loop;
add.u32 %v, %v, 100;
)"));
  for (uint32_t t = 0; t < 32; ++t) CHECK(got[t] == (t > 27 ? 0xDEAD : t >= 1 && t <= 10 ? t : 110));
}

TEST(control_table_branch) {
  const auto got = run(kernel(R"(
and.b32 %r0, %t, 3;
targets: .branchtargets zero, one, two, three;
brx.idx %r0, targets;
zero:
mov.u32 %v, 10;
bra done;
one:
mov.u32 %v, 11;
two:
add.u32 %v, %v, 20;
bra done;
three:
mov.u32 %v, 13;
done:
activemask.b32 %r1;
popc.b32 %r2, %r1;
mad.lo.u32 %v, %r2, 100, %v;
)"));
  const uint32_t expected[] = {3210, 3231, 3220, 3213};
  for (uint32_t t = 0; t < 32; ++t) CHECK(got[t] == expected[t % 4]);
}

TEST(control_calls) {
  // Functions with parameters in memory; a recursive one, called by some lanes only, with different depths.
  const std::string before = R"(
.func (.param .b32 r) triangle(.param .b32 n)
{
.reg .pred %p;
.reg .b32 %n, %m, %s;
ld.param.b32 %n, [n];
mov.u32 %s, 0;
setp.eq.u32 %p, %n, 0;
@%p bra end;
sub.u32 %m, %n, 1;
{
.param .b32 a;
.param .b32 b;
st.param.b32 [a], %m;
call (b), triangle, (a);
ld.param.b32 %s, [b];
}
add.u32 %s, %s, %n;
end:
st.param.b32 [r], %s;
ret;
}
.func (.param .align 8 .b8 r[16]) both(.param .align 8 .b8 x[16])
{
.reg .b64 %a, %b;
.local .align 8 .b8 depot[16];
.reg .b64 %l;
mov.u64 %l, depot;
ld.param.b64 %a, [x+8];
ld.param.b64 %b, [x];
st.local.b64 [%l+8], %a;
ld.local.b64 %a, [%l+8];
st.param.b64 [r], %a;
st.param.b64 [r+8], %b;
ret;
}
)";
  const auto got = run(kernel(R"(
setp.lt.u32 %p0, %t, 6;
@!%p0 bra skip;
{
.param .b32 a;
.param .b32 b;
st.param.b32 [a], %t;
call.uni (b), triangle, (a);
ld.param.b32 %v, [b];
}
skip:
activemask.b32 %r1;
popc.b32 %r1, %r1;
cvt.u64.u32 %d0, %v;
cvt.u64.u32 %d1, %r1;
{
.param .align 8 .b8 a[16];
.param .align 8 .b8 b[16];
st.param.b64 [a], %d0;
st.param.b64 [a+8], %d1;
call (b), both, (a);
ld.param.v2.b64 {%d2, %d3}, [b];
}
shl.b64 %d2, %d2, 8;
add.u64 %d2, %d2, %d3;
cvt.u32.u64 %v, %d2;
)",
                              "", before));
  for (uint32_t t = 0; t < 32; ++t) CHECK(got[t] == (32U << 8) + (t < 6 ? t * (t + 1) / 2 : 0));
}

TEST(control_guards_and_labels_of_inner_blocks) {
  const auto got = run(kernel(R"(
setp.lt.u32 %p0, %t, 8;
@%p0 add.u32 %v, %v, 1;
@!%p0 add.u32 %v, %v, 2;
{
.reg .b32 %v2;
mov.u32 %v2, 5;
bra L;
mov.u32 %v2, 6;
L:
add.u32 %v, %v, %v2;
}
{
.reg .b32 %v2;
mov.u32 %v2, 50;
bra L;
mov.u32 %v2, 60;
L:
add.u32 %v, %v, %v2;
}
)"));
  for (uint32_t t = 0; t < 32; ++t) CHECK(got[t] == (t < 8 ? 56U : 57U));
}

TEST(control_special_registers) {
  const std::string text = header() + R"(
.visible .entry k(.param .u64 out)
{
.reg .b32 %r<16>;
.reg .b64 %o;
mov.u32 %r0, %tid.x;
mov.u32 %r1, %tid.y;
mov.u32 %r2, %tid.z;
mov.u32 %r3, %ntid.x;
mov.u32 %r4, %ntid.y;
mov.u32 %r5, %ctaid.x;
mov.u32 %r6, %ctaid.y;
mov.u32 %r7, %nctaid.x;
mov.u32 %r8, %laneid;
mov.u32 %r9, %warpid;
mov.u32 %r10, %lanemask_lt;
mov.u32 %r11, %lanemask_ge;
mad.lo.u32 %r12, %r2, %r4, %r1;
mad.lo.u32 %r12, %r12, %r3, %r0;
mad.lo.u32 %r13, %r6, %r7, %r5;
mad.lo.u32 %r12, %r13, 60, %r12;
ld.param.u64 %o, [out];
mad.wide.u32 %o, %r12, 16, %o;
shl.b32 %r8, %r8, 8;
or.b32 %r8, %r8, %r9;
st.global.v4.u32 [%o], {%r12, %r8, %r10, %r11};
ret;
}
)";
  Device device;
  const CUdeviceptr out = device.allocate(60 * 6 * 16);
  const CUmodule module = device.load(text);
  CUfunction function = nullptr;
  CHECK(cuModuleGetFunction(&function, module, "k") == CUDA_SUCCESS);
  CUdeviceptr argument = out;
  void* parameters[] = {&argument};
  CHECK(cuLaunchKernel(function, 3, 2, 1, 5, 4, 3, 0, nullptr, parameters, nullptr) == CUDA_SUCCESS);
  CHECK(cuCtxSynchronize() == CUDA_SUCCESS);
  const auto got = device.download<uint32_t>(out, 60 * 6 * 4);
  for (uint32_t i = 0; i < 360; ++i) {
    const uint32_t thread = i % 60, lane = thread % 32;
    CHECK(got[4 * i] == i);
    CHECK(got[4 * i + 1] == (lane << 8 | thread / 32));
    CHECK(got[4 * i + 2] == (1U << lane) - 1);
    CHECK(got[4 * i + 3] == ~((1U << lane) - 1));
  }
}

TEST(control_blocks_come_in_the_order_that_is_asked_for) {
  // Each block draws a ticket.
  const std::string text = header() + R"(
.global .align 4 .u32 tickets;
.visible .entry draw(.param .u64 out)
{
.reg .b32 %r<3>;
.reg .b64 %o;
atom.global.add.u32 %r0, [tickets], 1;
mov.u32 %r1, %ctaid.x;
ld.param.u64 %o, [out];
mad.wide.u32 %o, %r1, 4, %o;
st.global.u32 [%o], %r0;
ret;
}
)";
  for (const int order : {0, 1, 2, 3, 1000}) {
    Device device;
    tr0n_emulator_configure("order", order);
    const uint32_t blocks = 50;
    const CUdeviceptr out = device.allocate(blocks * 4);
    CHECK(device.run(device.load(text), "draw", {blocks, 1, 0}, out) == CUDA_SUCCESS);
    const std::vector<uint32_t> turns = device.download<uint32_t>(out, blocks);
    std::vector<bool> seen(blocks, false);
    bool rising = true;
    for (uint32_t block = 0; block < blocks; ++block) {
      CHECK(turns[block] < blocks && !seen[turns[block]]);
      seen[turns[block] % blocks] = true;
      if (order < 2) CHECK(turns[block] == (order == 0 ? block : blocks - 1 - block));
      rising = rising && turns[block] == block;
    }
    CHECK(rising == (order == 0));
  }
  tr0n_emulator_configure("order", 0);
}

}  // namespace tr0n::emulator::test
