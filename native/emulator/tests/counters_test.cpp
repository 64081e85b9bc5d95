#include "emulator/tests/device.h"

namespace tr0n::emulator::test {
namespace {

/// The number after "name": in the counters of the only kernel.
long counter(const std::string& json, const std::string& name) {
  const size_t at = json.find("\"" + name + "\":");
  return at == std::string::npos ? -1 : std::atol(json.c_str() + at + name.size() + 3);
}

std::string counted(const std::string& body, unsigned blocks = 1) {
  Device device;
  const std::string text = header() + R"(
.visible .entry k(.param .u64 data)
{
.reg .pred %p;
.reg .f32 %f<8>;
.reg .f64 %g<2>;
.reg .b32 %t, %s, %r<8>;
.reg .b64 %d, %e;
.shared .align 16 .b8 tile[8192];
mov.u32 %t, %tid.x;
ld.param.u64 %d, [data];
mov.u32 %s, tile;
mov.f32 %f0, 0f3F800000;
)" + body + "\nret;\n}\n";
  const CUdeviceptr data = device.upload(std::vector<float>(16384, 1.0f));
  tr0n_emulator_reset();
  CHECK_SAYING(device.run(device.load(text), "k", {blocks, 32, 0}, data) == CUDA_SUCCESS, report());
  return tr0n_emulator_counters();
}

}  // namespace

TEST(counters_arithmetic) {
  const std::string json = counted(
      "fma.rn.f32 %f1, %f0, %f0, %f0;\nsetp.lt.u32 %p, %t, 8;\n@%p add.f32 %f1, %f1, %f0;\nex2.approx.f32 "
      "%f2, %f1;\ncvt.f64.f32 %g0, %f1;\nfma.rn.f64 %g1, %g0, %g0, %g0;\n",
      3);
  CHECK_SAYING(
      counter(json, "launches") == 1 && counter(json, "blocks") == 3 && counter(json, "threads") == 96, json);
  CHECK_SAYING(counter(json, "flops") == 3 * (64 + 8 + 32 + 64), json);
  CHECK_SAYING(counter(json, "doubleFlops") == 3 * 64, json);
  CHECK_SAYING(counter(json, "fp32") == 6 && counter(json, "fp64") == 3 && counter(json, "special") == 3 &&
                   counter(json, "conversion") == 3,
               json);
  CHECK_SAYING(counter(json, "warpInstructions") == 3 * 11, json);
}

TEST(counters_global_sectors) {
  const auto sectors = [](const std::string& address, const std::string& access, long moved, long least,
                          long bytes) {
    const std::string json = counted(address + access);
    CHECK_SAYING(counter(json, "sectors") == moved && counter(json, "minimumSectors") == least &&
                     counter(json, "globalLoadBytes") == bytes,
                 address + access + json);
  };
  const std::string load = "ld.global.f32 %f1, [%e];\n";
  sectors("mad.wide.u32 %e, %t, 4, %d;\n", load, 4, 4, 128);                         // a row
  sectors("mad.wide.u32 %e, %t, 4, %d;\nadd.u64 %e, %e, 4;\n", load, 5, 4, 128);     // the row, shifted
  sectors("mov.u64 %e, %d;\n", load, 1, 1, 128);                                     // one word for all
  sectors("mad.wide.u32 %e, %t, 32, %d;\n", load, 32, 4, 128);                       // a word of every sector
  sectors("mad.wide.u32 %e, %t, 8, %d;\n", load, 8, 4, 128);                         // every second word
  sectors("xor.b32 %r0, %t, 31;\nmad.wide.u32 %e, %r0, 4, %d;\n", load, 4, 4, 128);  // backwards
  sectors("mad.wide.u32 %e, %t, 16, %d;\n", "ld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%e];\n", 16, 16, 512);
  sectors("setp.lt.u32 %p, %t, 8;\nmad.wide.u32 %e, %t, 4, %d;\n", "@%p ld.global.f32 %f1, [%e];\n", 1, 1,
          32);
  // Once by every block: moved three times, distinct once.
  const std::string json =
      counted("mad.wide.u32 %e, %t, 4, %d;\n" + load + "st.global.f32 [%e+4096], %f1;\n", 3);
  CHECK_SAYING(counter(json, "sectors") == 24 && counter(json, "distinctLoadSectors") == 4 &&
                   counter(json, "distinctStoreSectors") == 4,
               json);
  CHECK_SAYING(counter(json, "globalStoreBytes") == 384, json);
}

TEST(counters_bank_conflicts) {
  const auto conflicts = [](const std::string& address, const std::string& access, long all, long extra) {
    const std::string json = counted(address + access);
    CHECK_SAYING(counter(json, "sharedWavefronts") == all && counter(json, "sharedConflicts") == extra,
                 address + access + json);
  };
  const std::string store = "st.shared.f32 [%r0], %f0;\n",
                    wide = "st.shared.v4.f32 [%r0], {%f0, %f0, %f0, %f0};\n";
  for (const long stride : {1L, 2L, 3L, 4L, 8L, 16L, 32L, 33L}) {
    // Lanes in one bank: the greatest common divisor of the stride and 32.
    long together = stride;
    for (long rest = 32; rest != 0;) std::swap(together %= rest, rest);
    conflicts("mad.lo.u32 %r0, %t, " + std::to_string(4 * stride) + ", %s;\n", store, together, together - 1);
  }
  conflicts("mad.lo.u32 %r0, %t, 16, %s;\n", wide, 4, 0);
  conflicts("mad.lo.u32 %r0, %t, 32, %s;\n", wide, 8, 4);
  conflicts("mad.lo.u32 %r0, %t, 8, %s;\n", "st.shared.v2.f32 [%r0], {%f0, %f0};\n", 2, 0);
  conflicts("mov.u32 %r0, %s;\n", store, 1, 0);  // the same word, the same value
  const std::string json = counted(
      "mad.lo.u32 %r0, %t, 4, %s;\nst.shared.f32 [%r0], %f0;\nbar.sync 0;\nld.shared.f32 %f1, "
      "[%s];\nbar.sync 0;\n",
      2);
  CHECK_SAYING(counter(json, "barriers") == 4 && counter(json, "sharedWavefronts") == 4 &&
                   counter(json, "sharedBytes") == 2 * 256,
               json);
}

}  // namespace tr0n::emulator::test
