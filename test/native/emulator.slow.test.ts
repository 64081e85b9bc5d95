import assert from "node:assert/strict";
import { join } from "node:path";
import { packageRoot } from "../../lib/native/binding.js";
import { finish } from "../support/process.js";

describe("the CUDA driver emulator's own tests (C++, without Node or a GPU)", function () {
  this.timeout(900_000);

  it("pass: instructions against independent references, control flow, barriers, planted mistakes, the driver API", async function () {
    const build = join(packageRoot, "build", "emulator");
    if ((await finish("cmake", ["--version"]).catch(() => null))?.code !== 0) {
      process.stdout.write("      skipped: CMake is missing (Debian: apt-get install cmake)\n");
      this.skip();
    }
    const options = { cwd: packageRoot, timeout: 800_000 };
    const configure = await finish("cmake", ["-S", join("native", "emulator"), "-B", build], options);
    assert.equal(configure.code, 0, configure.stderr);
    const compile = await finish("cmake", ["--build", build, "--parallel", "2"], options);
    assert.equal(compile.code, 0, compile.stdout + compile.stderr);
    const run = await finish(join(build, "emulator-tests"), [], { ...options, cwd: build });
    assert.equal(run.code, 0, run.stdout + run.stderr);
    assert.match(run.stdout, /[1-9]\d* tests, [1-9]\d* checks, 0 failures/);
    for (const line of run.stdout.split("\n").filter((text) => text.startsWith("skipped"))) {
      process.stdout.write(`      ${line}\n`);
    }
  });
});
