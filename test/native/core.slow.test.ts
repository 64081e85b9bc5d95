import assert from "node:assert/strict";
import { join } from "node:path";
import { packageRoot } from "../../lib/native/binding.js";
import { finish } from "../support/process.js";

describe("the native core's own tests (C++, without Node)", function () {
  this.timeout(900_000);

  const options = { cwd: packageRoot, timeout: 800_000 };
  const missing = async (command: string): Promise<boolean> =>
    (await finish(command, ["--version"]).catch(() => null))?.code !== 0;

  async function build(folder: string, ...settings: string[]): Promise<string> {
    const configure = await finish("cmake", ["-S", join("native", "tests"), "-B", folder, ...settings], options);
    assert.equal(configure.code, 0, configure.stderr);
    const compile = await finish("cmake", ["--build", folder, "--parallel", "2"], options);
    assert.equal(compile.code, 0, compile.stdout + compile.stderr);
    return join(folder, "core-tests");
  }

  async function passes(command: string, args: string[], instructions?: string): Promise<void> {
    const env = { ...process.env, ...(instructions === undefined ? {} : { TR0N_CPU: instructions }) };
    const run = await finish(command, args, { ...options, env });
    assert.equal(run.code, 0, run.stdout + run.stderr);
    assert.match(run.stdout, /[1-9]\d* tests, 0 failures/, "the executable must say how many tests it ran");
  }

  /** What is compiled once per instruction set. */
  const kernels = ["gemm", "linear_", "optimise", "tanh"];

  it("pass: kernels against float64, derivatives against finite differences, bit-identity over threads", async function () {
    if (await missing("cmake")) {
      process.stdout.write("      skipped: CMake is missing (Debian: apt-get install cmake)\n");
      this.skip();
    }
    const tests = await build(join(packageRoot, "build", "native-tests"));
    await passes(tests, []);
    // The same kernels with the other instructions that this processor has, the plain ones among them.
    const refused = await finish(tests, ["linear_"], { ...options, env: { ...process.env, TR0N_CPU: "none" } });
    const names = /\(([\w, ]+)\), got "none"/.exec(refused.stdout)?.[1]?.split(", ") ?? [];
    assert.ok(names.includes("portable"), refused.stdout);
    for (const name of names) await passes(tests, kernels, name);
  });

  it("pass on a 64-bit ARM processor, emulated", async function () {
    for (const command of ["cmake", "aarch64-linux-gnu-g++", "qemu-aarch64"])
      if (await missing(command)) {
        process.stdout.write(
          `      skipped: ${command} is missing (Debian: apt-get install cmake g++-aarch64-linux-gnu qemu-user)\n`,
        );
        this.skip();
      }
    const tests = await build(
      join(packageRoot, "build", "native-tests-aarch64"),
      "-DCMAKE_SYSTEM_NAME=Linux",
      "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
      "-DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++",
      // GCC 12 for ARM has an internal error in a test, not in the library, at -O3.
      "-DCMAKE_CXX_FLAGS_RELEASE=-O2 -DNDEBUG",
      "-DCMAKE_EXE_LINKER_FLAGS=-static",
    );
    await passes("qemu-aarch64", [tests, ...kernels], "neon");
  });
});
