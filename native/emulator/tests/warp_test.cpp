#include <algorithm>

#include "emulator/tests/device.h"

namespace tr0n::emulator::test {
namespace {

/// Thread t gets in[t] in %a and leaves %v and %w.
std::string kernel(const std::string& body, const std::string& more = "") {
  return header() + R"(
.visible .entry k(.param .u64 in, .param .u64 out)
{
.reg .pred %p<8>;
.reg .b32 %t, %a, %v, %w, %r<16>;
.reg .b64 %i, %o, %d<8>;
)" + more +
         R"(
mov.u32 %t, %tid.x;
ld.param.u64 %i, [in];
ld.param.u64 %o, [out];
mad.wide.u32 %i, %t, 4, %i;
mad.wide.u32 %o, %t, 8, %o;
ld.global.u32 %a, [%i];
mov.u32 %w, 0;
)" + body +
         R"(
st.global.v2.u32 [%o], {%v, %w};
ret;
}
)";
}

struct Pair {
  uint32_t v, w;
};
std::vector<Pair> run(const std::string& text, const std::vector<uint32_t>& in) {
  Device device;
  const CUdeviceptr from = device.upload(in), out = device.upload(std::vector<Pair>(in.size()));
  CHECK_SAYING(
      device.run(device.load(text), "k", {1, static_cast<unsigned>(in.size()), 0}, from, out) == CUDA_SUCCESS,
      report());
  return device.download<Pair>(out, in.size());
}
std::vector<uint32_t> numbers(size_t count = 32) {
  std::vector<uint32_t> list(count);
  for (size_t k = 0; k < count; ++k) list[k] = static_cast<uint32_t>(k * k * 7 % 23 + 1000 * (k % 3));
  return list;
}

}  // namespace

TEST(warp_shuffles) {
  const auto in = numbers();
  // The widths of CUDA: clamp and segment mask for 32, 16, 8 and 4 lanes.
  for (const int width : {32, 16, 8, 4}) {
    const int segment = (32 - width) << 8;
    for (const int b : {0, 1, 2, 3, 5, 8, 17, 31}) {
      const auto shuffle = [&](const std::string& mode, int clamp) {
        return run(kernel("shfl.sync." + mode + ".b32 %v|%p0, %a, " + std::to_string(b) + ", " +
                          std::to_string(segment | clamp) + ", 0xFFFFFFFF;\nselp.u32 %w, 1, 0, %p0;\n"),
                   in);
      };
      const auto up = shuffle("up", 0), down = shuffle("down", 31), bfly = shuffle("bfly", 31),
                 idx = shuffle("idx", 31);
      for (int t = 0; t < 32; ++t) {
        const int first = t / width * width, last = first + width - 1;
        const auto expect = [&](const std::vector<Pair>& got, int from, bool in_range) {
          const auto at = static_cast<size_t>(t);
          CHECK(got[at].w == (in_range ? 1U : 0U));
          CHECK(got[at].v == in[static_cast<size_t>(in_range ? from : t)]);
        };
        expect(up, t - b, t - b >= first);
        expect(down, t + b, t + b <= last);
        expect(bfly, t ^ b, (t ^ b) <= last);
        expect(idx, first + b % width, true);
      }
    }
  }
}

TEST(warp_votes_matches_and_reductions) {
  const auto in = numbers();
  const auto got = run(kernel(R"(
setp.gt.u32 %p0, %a, 500;
vote.sync.ballot.b32 %v, %p0, 0xFFFFFFFF;
vote.sync.any.pred %p1, %p0, 0xFFFFFFFF;
vote.sync.all.pred %p2, %p0, 0xFFFFFFFF;
setp.ge.u32 %p3, %a, 0;
vote.sync.all.pred %p4, %p3, 0xFFFFFFFF;
vote.sync.uni.pred %p5, !%p3, 0xFFFFFFFF;
selp.u32 %r0, 1, 0, %p1;
selp.u32 %r1, 2, 0, %p2;
selp.u32 %r2, 4, 0, %p4;
selp.u32 %r3, 8, 0, %p5;
add.u32 %w, %r0, %r1;
add.u32 %w, %w, %r2;
add.u32 %w, %w, %r3;
)"),
                       in);
  uint32_t ballot = 0;
  for (uint32_t t = 0; t < 32; ++t) ballot |= in[t] > 500 ? 1U << t : 0;
  for (const Pair& pair : got) CHECK(pair.v == ballot && pair.w == (1 | 4 | 8));

  const auto matched = run(kernel("match.any.sync.b32 %v, %a, 0xFFFFFFFF;\nmatch.all.sync.b32 %w|%p0, %a, "
                                  "0xFFFFFFFF;\n@%p0 mov.u32 %w, 99;\n"),
                           in);
  for (uint32_t t = 0; t < 32; ++t) {
    uint32_t same = 0;
    for (uint32_t k = 0; k < 32; ++k) same |= in[k] == in[t] ? 1U << k : 0;
    CHECK(matched[t].v == same && matched[t].w == 0);
  }
  const auto equal =
      run(kernel("mov.u32 %v, 0;\nmatch.all.sync.b32 %w|%p0, 7, 0xFFFFFFFF;\n@%p0 mov.u32 %v, 1;\n"), in);
  CHECK(equal[3].v == 1 && equal[3].w == ~0U);

  const auto sums =
      run(kernel("redux.sync.add.u32 %v, %a, 0xFFFFFFFF;\nredux.sync.max.s32 %w, %a, 0xFFFFFFFF;\n"), in);
  uint32_t sum = 0, most = 0, conjunction = ~0U, exclusive = 0;
  for (const uint32_t x : in) sum += x, most = std::max(most, x), conjunction &= x, exclusive ^= x;
  CHECK(sums[5].v == sum && sums[31].w == most);
  const auto logic =
      run(kernel("redux.sync.and.b32 %v, %a, 0xFFFFFFFF;\nredux.sync.xor.b32 %w, %a, 0xFFFFFFFF;\n"), in);
  CHECK(logic[0].v == conjunction && logic[9].w == exclusive);
  // A part of the warp by itself.
  const auto part = run(kernel(R"(
mov.u32 %v, 0;
setp.lt.u32 %p0, %t, 4;
@!%p0 bra end;
redux.sync.add.u32 %v, %a, 0xF;
shfl.sync.idx.b32 %w, %a, 2, 0x1F, 0xF;
end:
)"),
                        in);
  for (uint32_t t = 0; t < 32; ++t)
    CHECK(part[t].v == (t < 4 ? in[0] + in[1] + in[2] + in[3] : 0) && part[t].w == (t < 4 ? in[2] : 0));
}

TEST(warp_barriers_between_warps) {
  // Four warps hand values around in shared memory, then reduce over a barrier.
  const auto in = numbers(128);
  const auto got = run(kernel(R"(
mov.u32 %r0, buffer;
mad.lo.u32 %r1, %t, 4, %r0;
st.shared.u32 [%r1], %a;
bar.sync 0;
add.u32 %r2, %t, 37;
and.b32 %r2, %r2, 127;
mad.lo.u32 %r2, %r2, 4, %r0;
ld.shared.u32 %v, [%r2];
bar.sync 0;
st.shared.u32 [%r1], %v;
bar.sync 0;
ld.shared.u32 %v, [%r2];
setp.gt.u32 %p0, %a, 1000;
bar.red.popc.u32 %w, 1, %p0;
bar.red.and.pred %p1, 2, %p0;
bar.red.or.pred %p2, 3, %p0;
selp.u32 %r3, 1000, 0, %p1;
selp.u32 %r4, 2000, 0, %p2;
add.u32 %w, %w, %r3;
add.u32 %w, %w, %r4;
)",
                              ".shared .align 4 .b8 buffer[512];\n"),
                       in);
  const auto above =
      static_cast<uint32_t>(std::count_if(in.begin(), in.end(), [](uint32_t x) { return x > 1000; }));
  for (uint32_t t = 0; t < 128; ++t) CHECK(got[t].v == in[(t + 74) % 128] && got[t].w == above + 2000);
}

TEST(warp_named_barriers) {
  // A producer that arrives and goes on, and a consumer that waits: 64 threads of 96; the third warp takes no
  // part.
  const auto in = numbers(96);
  const auto got = run(kernel(R"(
mov.u32 %v, 0;
mov.u32 %r0, buffer;
and.b32 %r1, %t, 31;
mad.lo.u32 %r1, %r1, 4, %r0;
setp.ge.u32 %p0, %t, 64;
@%p0 bra end;
setp.ge.u32 %p1, %t, 32;
@%p1 bra consume;
st.shared.u32 [%r1], %a;
barrier.cta.arrive 5, 64;
bra end;
consume:
barrier.cta.sync 5, 64;
ld.shared.u32 %v, [%r1];
end:
)",
                              ".shared .align 4 .b8 buffer[128];\n"),
                       in);
  for (uint32_t t = 0; t < 96; ++t) CHECK(got[t].v == (t >= 32 && t < 64 ? in[t - 32] : 0));
}

TEST(warp_atomics) {
  const auto in = numbers(64);
  const auto got = run(kernel(R"(
mov.u32 %r0, cells;
setp.eq.u32 %p0, %t, 0;
@%p0 st.shared.v4.u32 [%r0], {0, 0, 0xFFFFFFFF, 0};
@%p0 st.shared.v4.u32 [%r0+16], {0, 0xFF, 0, 0};
bar.sync 0;
atom.shared.add.u32 %v, [%r0], 1;
red.shared.max.u32 [%r0+4], %a;
red.shared.min.u32 [%r0+8], %a;
atom.shared.inc.u32 %r1, [%r0+12], 9;
atom.shared.cas.b32 %r2, [%r0+16], %t, 77;
red.shared.and.b32 [%r0+20], %a;
red.shared.add.f32 [%r0+24], 0f3F000000;
red.shared.xor.b32 [%r0+28], %a;
bar.sync 0;
and.b32 %r3, %t, 7;
mad.lo.u32 %r3, %r3, 4, %r0;
ld.shared.u32 %w, [%r3];
)",
                              ".shared .align 16 .b8 cells[32];\n"),
                       in);
  std::vector<uint32_t> order;
  for (const Pair& pair : got) order.push_back(pair.v);
  std::sort(order.begin(), order.end());
  for (uint32_t t = 0; t < 64; ++t) CHECK(order[t] == t);
  uint32_t most = 0, least = ~0U, conjunction = 0xFF, exclusive = 0;
  for (const uint32_t x : in)
    most = std::max(most, x), least = std::min(least, x), conjunction &= x, exclusive ^= x;
  const uint32_t expected[] = {64, most, least, 64 % 10, 77, conjunction, 0x42000000, exclusive};
  for (uint32_t t = 0; t < 64; ++t) CHECK(got[t].w == expected[t % 8]);
}

}  // namespace tr0n::emulator::test
