import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packageRoot } from "../../lib/native/binding.js";
import { buildEmulator, buildSelftest, emulator, need, selftest } from "../support/cuda.js";
import { finish } from "../support/process.js";

interface Report {
  cases: number;
  failures: number;
  lines: { kernel: string; sizes: string; passed: boolean }[];
  errors: { kernel: string; text: string }[];
}

const options = (environment: NodeJS.ProcessEnv = {}) => ({
  timeout: 600_000,
  env: { ...process.env, TR0N_CUDA_DRIVER: emulator, ...environment },
});

describe("the native self-test (C++, on the driver emulator)", function () {
  this.timeout(900_000);

  before(async function () {
    await need(this, "cmake", "nvcc");
    await buildEmulator();
    await buildSelftest();
  });

  // Kernels have code of their own for GPUs older than sm_80, without cp.async and tensor cores in TF32. No GPU promises an
  // order of a launch's blocks: here it is random, and reverse.
  for (const [sm, order] of [
    ["90", "12345"],
    ["75", "1"],
  ] as const)
    it(`passes for every kernel at small sizes, as sm_${sm}, in an order of blocks that is not theirs`, async () => {
      const args = ["--quick", "--json"];
      const environment = { TR0N_EMULATOR_SM: sm, TR0N_EMULATOR_ORDER: order };
      const { code, stdout, stderr } = await finish(selftest, args, options(environment));
      assert.notEqual(stdout, "", stderr);
      const report = JSON.parse(stdout) as Report;
      assert.deepEqual(report.errors, []);
      assert.deepEqual(
        report.lines.filter((line) => !line.passed),
        [],
      );
      assert.equal(code, 0, stderr);
    });

  it("has a case for every kernel of device/kernels", async () => {
    const folder = join(packageRoot, "native", "device", "kernels");
    const headers = (await readdir(folder)).filter((name) => name.endsWith(".h"));
    const texts = await Promise.all(headers.map((name) => readFile(join(folder, name), "utf8")));
    // A kernel is called as the struct of its arguments is.
    const kernels = [...texts.join("").matchAll(/^ {2}virtual void \w+\(const (\w+)& a\)/gm)].map(([, name]) =>
      name!.replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toLowerCase(),
    );
    assert.ok(kernels.length > 20);
    const { stdout } = await finish(selftest, ["--list"], options());
    const cases = stdout.trim().split("\n");
    assert.deepEqual(
      kernels.filter((name) => !cases.some((known) => known.startsWith(name))),
      [],
    );
  });

  it("fails, and says where, when a kernel is wrong or leaves its memory", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tr0n-ptx-"));
    try {
      const file = "probe.compute_80.ptx";
      const ptx = await readFile(join(packageRoot, "build", "kernels", file), "utf8");
      const run = async (from: string, to: string): Promise<string> => {
        assert.ok(ptx.includes(from), `the PTX of the probe has no ${from}`);
        await writeFile(join(folder, file), ptx.replace(from, to));
        const { code, stdout } = await finish(
          selftest,
          ["--quick", "--filter", "probe"],
          options({ TR0N_PTX_OVERRIDE: folder }),
        );
        assert.equal(code, 1, stdout);
        return stdout;
      };
      assert.match(await run("shfl.sync.bfly", "shfl.sync.down"), /FAILED out: from float64 off by/);
      assert.match(await run("setp.ge.u32", "setp.gt.u32"), /FAILED: .*out-of-bounds/i);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it("says so where there is no driver, and for wrong options", async () => {
    const none = await finish(selftest, [], options({ TR0N_CUDA_DRIVER: "/nonexistent/libcuda.so" }));
    assert.equal(none.code, 3);
    assert.match(none.stderr, /no GPU to test: .*\/nonexistent\/libcuda\.so.*TR0N_CUDA_DRIVER/);
    const wrong = await finish(selftest, ["--quik"], options());
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /usage/);
    const nothing = await finish(selftest, ["--filter", "no such kernel"], options());
    assert.equal(nothing.code, 1);
    assert.match(nothing.stderr, /no case matches/);
  });
});
