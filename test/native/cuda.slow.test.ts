import assert from "node:assert/strict";
import { join } from "node:path";
import { packageRoot } from "../../lib/native/binding.js";
import { finish } from "../support/process.js";

describe("the CUDA device's own tests (C++, on the driver emulator)", function () {
  this.timeout(900_000);

  it("pass", async function () {
    const build = join(packageRoot, "build", "cuda-tests");
    if ((await finish("cmake", ["--version"]).catch(() => null))?.code !== 0) {
      process.stdout.write("      skipped: CMake is missing (Debian: apt-get install cmake)\n");
      this.skip();
    }
    if ((await finish("nvcc", ["--version"]).catch(() => null))?.code !== 0) {
      process.stdout.write("      skipped: nvcc is missing (it comes with NVIDIA's CUDA toolkit)\n");
      this.skip();
    }
    const options = { cwd: packageRoot, timeout: 800_000 };
    for (const step of [
      ["-S", join("native", "emulator"), "-B", join("build", "emulator")],
      ["--build", join("build", "emulator"), "--parallel", "2", "--target", "tr0n_cuda_emulator"],
      ["-S", join("native", "cuda", "tests"), "-B", build],
      ["--build", build, "--parallel", "2"],
    ]) {
      const made = await finish("cmake", step, options);
      assert.equal(made.code, 0, made.stdout + made.stderr);
    }
    const emulator = join(packageRoot, "build", "Release", "libtr0n_cuda_emulator.so");
    const run = await finish(join(build, "cuda-tests"), [], {
      ...options,
      env: { ...process.env, TR0N_CUDA_DRIVER: emulator },
    });
    assert.equal(run.code, 0, run.stdout + run.stderr);
    assert.match(run.stdout, /[1-9]\d* tests, 0 failures/);
  });
});
