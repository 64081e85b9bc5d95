import assert from "node:assert/strict";
import { join } from "node:path";
import { packageRoot } from "../../lib/native.js";
import { finish } from "../support/process.js";

describe("the native core's own tests (C++, without Node)", function () {
  this.timeout(900_000);

  it("pass: kernels against float64, derivatives against finite differences, bit-identity over threads", async function () {
    const build = join(packageRoot, "build", "native-tests");
    if ((await finish("cmake", ["--version"]).catch(() => null))?.code !== 0) {
      process.stdout.write("      skipped: CMake is missing (Debian: apt-get install cmake)\n");
      this.skip();
    }
    const options = { cwd: packageRoot, timeout: 800_000 };
    const configure = await finish("cmake", ["-S", join("native", "tests"), "-B", build], options);
    assert.equal(configure.code, 0, configure.stderr);
    const compile = await finish("cmake", ["--build", build, "--parallel", "2"], options);
    assert.equal(compile.code, 0, compile.stdout + compile.stderr);
    const run = await finish(join(build, "core-tests"), [], options);
    assert.equal(run.code, 0, run.stdout + run.stderr);
    assert.match(run.stdout + run.stderr, /[1-9]\d* (tests|passed)/, "the executable must say how many tests it ran");
  });
});
