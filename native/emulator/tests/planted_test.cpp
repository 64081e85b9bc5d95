#include "emulator/tests/device.h"

// Kernels with one mistake each: the report has to name its kind, its line and its thread, and the wait has
// to give the status of a driver. Each mistake has a twin without it, of which nothing may be reported.
namespace tr0n::emulator::test {
namespace {

struct Planted {
  const char* what;
  const char* kind;
  CUresult status;
  const char* place;         ///< block and thread as the report writes them; "" where any will do
  std::string wrong, right;  ///< the line in question
  std::string body;          ///< with LINE where it goes
  unsigned threads = 64, blocks = 1;
};

/// in: 64 words, written; half: 64 words, the first 32 of which are written; out: 64 words.
std::string text_of(const std::string& body, const std::string& line) {
  std::string text = header() + R"(
.visible .entry planted(.param .u64 in, .param .u64 half, .param .u64 out)
{
.reg .pred %p<4>;
.reg .b32 %t, %s, %v, %r<12>;
.reg .b64 %i, %h, %o, %j, %d<6>;
.local .align 8 .b8 depot[32];
.shared .align 16 .b8 tile[256];
.shared .align 16 .b8 other[1024];
mov.u32 %t, %tid.x;
ld.param.u64 %i, [in];
ld.param.u64 %h, [half];
ld.param.u64 %o, [out];
mad.wide.u32 %j, %t, 4, %i;
mad.wide.u32 %d0, %t, 4, %o;
mad.wide.u32 %d1, %t, 4, %h;
mov.u32 %s, tile;
mad.lo.u32 %r0, %t, 4, %s;
mov.u64 %d2, depot;
mov.u32 %v, 0;
)" + body + R"(
st.global.u32 [%d0], %v;
ret;
}
)";
  text.replace(text.find("LINE"), 4, line);
  return text;
}

int line_of(const std::string& text, const std::string& line) {
  const size_t at = text.find(line);
  int number = 1;
  for (size_t k = 0; k < at; ++k) number += text[k] == '\n';
  return number;
}

void check(const Planted& planted) {
  for (const bool wrong : {false, true}) {
    const std::string text = text_of(planted.body, wrong ? planted.wrong : planted.right);
    Device device;
    const CUdeviceptr in = device.upload(std::vector<uint32_t>(64, 7)), half = device.allocate(256),
                      out = device.allocate(256);
    Device::must(cuMemsetD32_v2(half, 5, 32), "cuMemsetD32");
    const CUmodule module = device.load(text);
    const CUresult status =
        device.run(module, "planted", {planted.blocks, planted.threads, 0}, in, half, out);
    const std::string said = report();
    if (!wrong) {
      CHECK_SAYING(status == CUDA_SUCCESS && said.empty(),
                   std::string(planted.what) + ": nothing is wrong, but " + said);
      continue;
    }
    CHECK_SAYING(status == planted.status, std::string(planted.what) + ": status " + std::to_string(status));
    // Sticky: whatever comes next gives it too.
    CHECK_SAYING(cuCtxSynchronize() == planted.status, planted.what);
    // A race has two ends: its report names both lines.
    const std::string line = std::to_string(line_of(text, planted.wrong)),
                      head =
                          "\"kind\":\"" + std::string(planted.kind) + "\",\"kernel\":\"planted\",\"line\":";
    CHECK_SAYING(
        contains(said, head + line + ",") || (planted.kind == std::string("race") && contains(said, head) &&
                                              contains(said, "at PTX line " + line + " without")),
        std::string(planted.what) + " at line " + std::to_string(line_of(text, planted.wrong)) + ": " + said);
    CHECK_SAYING(contains(said, "\"count\":1,") && contains(said, planted.place),
                 std::string(planted.what) + ": " + said);
  }
}

}  // namespace

TEST(planted_global_memory) {
  check({"read behind an allocation", "out-of-bounds", CUDA_ERROR_ILLEGAL_ADDRESS,
         "\"block\":[0,0,0],\"thread\":[63,0,0]", "ld.global.u32 %v, [%j+4];", "ld.global.u32 %v, [%j];",
         "LINE"});
  check({"read before an allocation", "out-of-bounds", CUDA_ERROR_ILLEGAL_ADDRESS, "\"thread\":[0,0,0]",
         "ld.global.u32 %v, [%j+-4];", "ld.global.u32 %v, [%j+0];", "LINE"});
  check({"write far away", "out-of-bounds", CUDA_ERROR_ILLEGAL_ADDRESS, "", "st.global.u32 [%d3], %v;",
         "st.global.u32 [%d0], %v;", "mov.b64 %d3, 4096;\nLINE"});
  check({"write behind, one thread of the second block", "out-of-bounds", CUDA_ERROR_ILLEGAL_ADDRESS,
         "\"block\":[1,0,0],\"thread\":[32,0,0]", "mad.wide.u32 %d0, %r2, 4, %o; st.global.u32 [%d0], %v;",
         "st.global.u32 [%d0], %v;", "mov.u32 %r1, %ctaid.x;\nmad.lo.u32 %r2, %r1, 32, %t;\nLINE", 64, 2});
  check({"misaligned vector", "misaligned", CUDA_ERROR_MISALIGNED_ADDRESS, "\"thread\":[1,0,0]",
         "ld.global.v2.u32 {%v, %r1}, [%j];", "ld.global.u32 %v, [%j];",
         "setp.lt.u32 %p0, %t, 62;\n@!%p0 bra end;\nLINE\nend:"});
  check({"misaligned word", "misaligned", CUDA_ERROR_MISALIGNED_ADDRESS, "", "st.global.u32 [%d0+2], %v;",
         "st.global.u16 [%d0+2], %t;", "LINE"});
  check({"read of what nobody wrote", "uninitialised", CUDA_ERROR_LAUNCH_FAILED, "\"thread\":[32,0,0]",
         "ld.global.u32 %v, [%d1];", "@%p0 ld.global.u32 %v, [%d1];", "setp.lt.u32 %p0, %t, 32;\nLINE"});
  check({"atomic on what nobody wrote", "uninitialised", CUDA_ERROR_LAUNCH_FAILED, "",
         "red.global.add.u32 [%d1], 1;", "@%p0 red.global.add.u32 [%d1], 1;",
         "setp.lt.u32 %p0, %t, 32;\nLINE"});
  check({"half a vector nobody wrote", "uninitialised", CUDA_ERROR_LAUNCH_FAILED, "\"thread\":[0,0,0]",
         "ld.global.v4.u32 {%v, %r1, %r2, %r3}, [%h+112]; ld.global.v4.u32 {%v, %r1, %r2, %r3}, [%h+128];",
         "ld.global.v4.u32 {%v, %r1, %r2, %r3}, [%h+112];", "LINE"});
}

TEST(planted_shared_and_local_memory) {
  const std::string fill = "st.shared.u32 [%r0], %t;\nbar.sync 0;\n";
  check({"read behind a shared variable", "out-of-bounds", CUDA_ERROR_ILLEGAL_ADDRESS, "\"thread\":[63,0,0]",
         "ld.shared.u32 %v, [%r0+4];", "ld.shared.u32 %v, [%r0];", fill + "LINE"});
  check({"write beyond shared memory", "out-of-bounds", CUDA_ERROR_ILLEGAL_ADDRESS, "",
         "st.shared.u32 [%r0+65536], %t;", "st.shared.u32 [%r0], %t;", "LINE"});
  check({"shared memory nobody wrote", "uninitialised", CUDA_ERROR_LAUNCH_FAILED, "\"thread\":[0,0,0]",
         "mov.u32 %s, other; ld.shared.u32 %v, [%s];", "ld.shared.u32 %v, [%r0];", fill + "LINE"});
  check({"local memory its thread did not write", "uninitialised", CUDA_ERROR_LAUNCH_FAILED, "",
         "ld.local.u32 %v, [%d2+8];", "ld.local.u32 %v, [%d2];", "st.local.u32 [%d2], %t;\nLINE"});
  check({"local memory beyond its end", "out-of-bounds", CUDA_ERROR_ILLEGAL_ADDRESS, "",
         "st.local.u32 [%d2+32], %t;", "st.local.u32 [%d2+28], %t;", "LINE"});
  check({"misaligned shared vector", "misaligned", CUDA_ERROR_MISALIGNED_ADDRESS, "",
         "ld.shared.v4.u32 {%v, %r1, %r2, %r3}, [%s+8];", "ld.shared.v4.u32 {%v, %r1, %r2, %r3}, [%s+16];",
         fill + "LINE"});
}

TEST(planted_races) {
  const std::string turned = "sub.u32 %r1, 63, %t;\nmad.lo.u32 %r1, %r1, 4, %s;\n";
  check({"no barrier after a write", "race", CUDA_ERROR_LAUNCH_FAILED, "", "ld.shared.u32 %v, [%r1];",
         "bar.sync 0; ld.shared.u32 %v, [%r1];",
         turned + "st.shared.u32 [%r0], %t;\nbar.sync 1, 64;\nst.shared.u32 [%r0], %v;\nLINE"});
  check({"no barrier before the next write", "race", CUDA_ERROR_LAUNCH_FAILED, "", "st.shared.u32 [%r0], %v;",
         "bar.sync 0; st.shared.u32 [%r0], %v;",
         turned + "st.shared.u32 [%r0], %t;\nbar.sync 0;\nld.shared.u32 %v, [%r1];\nLINE"});
  check({"two writers", "race", CUDA_ERROR_LAUNCH_FAILED, "", "st.shared.u32 [%s], %t;",
         "@%p0 st.shared.u32 [%s], %t;", "setp.eq.u32 %p0, %t, 9;\nLINE"});
  check({"lanes of a warp rely on their lock-step", "race", CUDA_ERROR_LAUNCH_FAILED, "",
         "ld.shared.u32 %v, [%r1];", "bar.warp.sync 0xFFFFFFFF; ld.shared.u32 %v, [%r1];",
         "xor.b32 %r1, %t, 1;\nmad.lo.u32 %r1, %r1, 4, %s;\nst.shared.u32 [%r0], %t;\nLINE"});
  check({"a warp's barrier does not order another warp", "race", CUDA_ERROR_LAUNCH_FAILED, "",
         "bar.warp.sync 0xFFFFFFFF; ld.shared.u32 %v, [%r1];", "bar.sync 0; ld.shared.u32 %v, [%r1];",
         turned + "st.shared.u32 [%r0], %t;\nbar.sync 0;\nst.shared.u32 [%r0], %t;\nLINE"});
  check({"an atomic and a plain read", "race", CUDA_ERROR_LAUNCH_FAILED, "", "ld.shared.u32 %v, [%s];",
         "bar.sync 0; ld.shared.u32 %v, [%s];",
         "setp.eq.u32 %p0, %t, 0;\n@%p0 st.shared.u32 [%s], 0;\nbar.sync 0;\nred.shared.add.u32 [%s], "
         "1;\nLINE"});
  check({"bytes of one word written by two threads are no race, one byte is", "race",
         CUDA_ERROR_LAUNCH_FAILED, "", "st.shared.u8 [%s], %t;",
         "add.u32 %r2, %s, %t; st.shared.u8 [%r2], %t;", "LINE"});
  // All lanes of a warp may write the same value; another warp's may not, whatever the value.
  check({"the same value from two warps", "race", CUDA_ERROR_LAUNCH_FAILED, "\"thread\":[32,0,0]",
         "st.shared.u32 [%s], 1;", "@%p0 st.shared.u32 [%s], 1;", "setp.lt.u32 %p0, %t, 32;\nLINE"});
}

TEST(planted_asynchronous_copies) {
  const std::string copy = "cp.async.ca.shared.global [%r0], [%j], 4;\ncp.async.commit_group;\n";
  check({"read before the copy is waited for", "unfinished-copy", CUDA_ERROR_LAUNCH_FAILED,
         "\"thread\":[0,0,0]", "ld.shared.u32 %v, [%r0];", "cp.async.wait_group 0; ld.shared.u32 %v, [%r0];",
         copy + "LINE"});
  check({"one group too few is waited for", "unfinished-copy", CUDA_ERROR_LAUNCH_FAILED, "",
         "cp.async.wait_group 1; ld.shared.u32 %v, [%r0];", "cp.async.wait_group 0; ld.shared.u32 %v, [%r0];",
         copy + "LINE"});
  check({"another thread's copy without a barrier", "race", CUDA_ERROR_LAUNCH_FAILED, "",
         "ld.shared.u32 %v, [%r1];", "bar.sync 0; ld.shared.u32 %v, [%r1];",
         "sub.u32 %r1, 63, %t;\nmad.lo.u32 %r1, %r1, 4, %s;\nst.shared.u32 [%r0], %t;\nbar.sync 0;\n" + copy +
             "cp.async.wait_all;\nLINE"});
  check({"the copy starts while others still read", "race", CUDA_ERROR_LAUNCH_FAILED, "",
         "cp.async.ca.shared.global [%r0], [%j], 4;", "bar.sync 0; cp.async.ca.shared.global [%r0], [%j], 4;",
         "sub.u32 %r1, 63, %t;\nmad.lo.u32 %r1, %r1, 4, %s;\nst.shared.u32 [%r0], %t;\nbar.sync "
         "0;\nld.shared.u32 %v, [%r1];\nLINE"});
  check({"a copy from behind an allocation", "out-of-bounds", CUDA_ERROR_ILLEGAL_ADDRESS,
         "\"thread\":[63,0,0]", "cp.async.ca.shared.global [%r0], [%j+4], 4;",
         "cp.async.ca.shared.global [%r0], [%j], 4;", "LINE"});
  check({"a misaligned copy", "misaligned", CUDA_ERROR_MISALIGNED_ADDRESS, "",
         "cp.async.cg.shared.global [%s], [%i+4], 16;", "cp.async.cg.shared.global [%s], [%i+16], 16;",
         "setp.eq.u32 %p0, %t, 0;\n@!%p0 bra end;\nLINE\nend:"});
}

TEST(planted_barriers) {
  check({"a barrier that half a warp comes to", "divergent-barrier", CUDA_ERROR_LAUNCH_FAILED, "",
         "@%p0 bar.sync 0;", "bar.sync 0;", "setp.lt.u32 %p0, %t, 16;\nLINE"});
  check({"a barrier that one warp never comes to", "divergent-barrier", CUDA_ERROR_LAUNCH_FAILED,
         "\"thread\":[0,0,0]", "bar.sync 2, 64;", "bar.sync 2, 32;",
         "setp.ge.u32 %p0, %t, 32;\n@%p0 bra end;\nLINE\nend:"});
  check({"a shuffle that names lanes elsewhere", "divergent-barrier", CUDA_ERROR_LAUNCH_FAILED, "",
         "shfl.sync.bfly.b32 %v, %t, 1, 0x1F, 0xFFFFFFFF;", "shfl.sync.bfly.b32 %v, %t, 1, 0x1F, 0x0000FFFF;",
         "and.b32 %r1, %t, 31;\nsetp.ge.u32 %p0, %r1, 16;\n@%p0 bra end;\nLINE\nend:"});
  check({"a shuffle that reads a lane outside", "divergent-barrier", CUDA_ERROR_LAUNCH_FAILED, "",
         "shfl.sync.idx.b32 %v, %t, 20, 0x1F, 0x0000FFFF;", "shfl.sync.idx.b32 %v, %t, 2, 0x1F, 0x0000FFFF;",
         "and.b32 %r1, %t, 31;\nsetp.ge.u32 %p0, %r1, 16;\n@%p0 bra end;\nLINE\nend:"});
  check({"a trap", "trap", CUDA_ERROR_LAUNCH_FAILED, "\"thread\":[3,0,0]", "@%p0 trap;",
         "@%p0 mov.u32 %v, 1;", "setp.eq.u32 %p0, %t, 3;\nLINE"});
  tr0n_emulator_configure("timeout", 100000);
  check({"a loop without an end", "timeout", CUDA_ERROR_LAUNCH_TIMEOUT, "",
         "again: setp.ge.u32 %p0, %t, 0; @%p0 bra again;", "again: setp.lt.u32 %p0, %t, 0; @%p0 bra again;",
         "LINE"});
  tr0n_emulator_configure("timeout", 1LL << 31);
}

TEST(planted_use_after_free) {
  const std::string text = text_of("LINE", "ld.global.u32 %v, [%j];");
  Device device;
  CUdeviceptr in = 0;
  Device::must(cuMemAlloc_v2(&in, 256), "cuMemAlloc");
  Device::must(cuMemsetD32_v2(in, 7, 64), "cuMemsetD32");
  const CUdeviceptr half = device.allocate(256), out = device.allocate(256);
  const CUmodule module = device.load(text);
  CHECK(device.run(module, "planted", {1, 64, 0}, in, half, out) == CUDA_SUCCESS);
  Device::must(cuMemFree_v2(in), "cuMemFree");
  CHECK(report().empty());
  CHECK(device.run(module, "planted", {1, 64, 0}, in, half, out) == CUDA_ERROR_ILLEGAL_ADDRESS);
  const std::string said = report();
  CHECK_SAYING(contains(said, "\"kind\":\"use-after-free\",\"kernel\":\"planted\",\"line\":" +
                                  std::to_string(line_of(text, "ld.global.u32 %v, [%j];"))),
               said);
}

TEST(planted_unknown_instructions) {
  const struct {
    const char *wrong, *right;
  } rows[] = {{"frobnicate.u32 %v, %t;", "mov.u32 %v, %t;"},
              {"add.rn.u32 %v, %t, 1;", "add.u32 %v, %t, 1;"},
              {"add.u32 %v, %t;", "add.u32 %v, %t, 1;"},
              {"add.u32 %q, %t, 1;", "add.u32 %v, %t, 1;"},
              {"add.u64 %v, %t, 1;", "add.u64 %d3, %i, 1;"},
              {"bra nowhere;", "bra here; here:"},
              {"ld.global.u32 %v, [%t];", "ld.global.u32 %v, [%j];"},
              {"cvt.u32.f32 %v, %t;", "cvt.rzi.u32.f32 %v, %t;"},
              {"tensormap.replace.u32 %v;", "mov.u32 %v, 1;"},
              {"mov.u32 %tid.x, %v;", "mov.u32 %v, %tid.x;"},
              {"cp.async.cg.shared.global [%s], [%i], 8;", "cp.async.wait_all;"},
              {"setp.lt.u32 %v, %t, 1;", "setp.lt.u32 %p0, %t, 1;"}};
  for (const auto& row : rows) {
    for (const bool wrong : {false, true}) {
      const std::string text = text_of("LINE", wrong ? row.wrong : row.right);
      Device device;
      CUmodule module = nullptr;
      char log[300] = "";
      CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
      void* values[] = {log, reinterpret_cast<void*>(sizeof log)};
      const CUresult status = cuModuleLoadDataEx(&module, text.c_str(), 2, options, values);
      const std::string said = report();
      CHECK_SAYING(status == (wrong ? CUDA_ERROR_INVALID_PTX : CUDA_SUCCESS),
                   std::string(wrong ? row.wrong : row.right) + ": " + said);
      CHECK_SAYING(!wrong || contains(said, "\"line\":" + std::to_string(line_of(text, row.wrong)) + ","),
                   said);
      CHECK_SAYING(!wrong || contains(log, "line " + std::to_string(line_of(text, row.wrong))), log);
      if (module != nullptr) cuModuleUnload(module);
    }
  }
}

}  // namespace tr0n::emulator::test
