import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { NativeSession } from "../../lib/native/types/models.js";
import { distanceConfig, longChain, mlp, squaredDistance } from "../support/bridge-models.js";
import { addon, objectiveBlocks, open, rejectsCode, sameBits } from "../support/bridge.js";
import { numbers } from "../support/numbers.js";
import { finish } from "../support/process.js";
import { requireWebGpu } from "../support/webgpu.js";

/** Before the text of a module in TypeScript. */
const moduleScript = ["--import=tsx", "--input-type=module", "--eval"];

const onWebGpu = (source: string | Uint8Array): Promise<NativeSession> => open(source, { device: "webgpu" });

describe("bridge: sessions on WebGPU", function () {
  this.timeout(120_000);
  before(function () {
    return requireWebGpu(this);
  });

  it("compute what the CPU computes", async () => {
    const [cpu, gpu] = await Promise.all([open(mlp(7, 33, 5)), onWebGpu(mlp(7, 33, 5))]);
    const x = { data: numbers(1, 6 * 7), shape: [6, 7] };
    const [expected, got] = await Promise.all([cpu.run({ x }).promise, gpu.run({ x }).promise]);
    assert.deepEqual(got["y"]!.shape, [6, 5]);
    expected["y"]!.data.forEach((value, i) =>
      assert.ok(Math.abs(Number(value) - Number(got["y"]!.data[i])) < 1e-5, `${value} ${got["y"]!.data[i]}`),
    );
    for (const session of [cpu, gpu]) session.dispose();
  });

  it("take turns, whoever asks, and may be disposed of while others run", async () => {
    const sessions = await Promise.all([1, 2, 3].map(() => onWebGpu(mlp(7, 33, 5))));
    const x = { data: numbers(1, 7), shape: [1, 7] };
    const runs = sessions.flatMap((session) => [1, 2, 3, 4].map(() => session.run({ x }).promise));
    for (const session of sessions) session.dispose();
    const all = (await Promise.all(runs)).map(({ y }) => y!.data as Float32Array);
    for (const y of all) sameBits(y, all[0]!, "y");
  });

  it("let a run that waits for its turn be aborted", async () => {
    const [long, short] = await Promise.all([onWebGpu(longChain(64, 200)), onWebGpu(mlp(7, 33, 5))]);
    const running = long.run({ x: { data: numbers(1, 64 * 64), shape: [64, 64] } }).promise;
    const waiting = [1, 2, 3].map(() => short.run({ x: { data: numbers(1, 7), shape: [1, 7] } }));
    waiting[0]!.cancel();
    waiting[2]!.cancel();
    await rejectsCode(waiting[0]!.promise, "ERR_ABORTED", /abort/);
    await rejectsCode(waiting[2]!.promise, "ERR_ABORTED", /abort/);
    await Promise.all([running, waiting[1]!.promise]);
    for (const session of [long, short]) session.dispose();
  });

  it("run the rows of objectives in blocks of few sizes, one after the other", async () => {
    const [d, m] = [6, 4];
    const cpu = addon.createObjective(distanceConfig(await open(squaredDistance(d, m)), d, m));
    const gpu = addon.createObjective(distanceConfig(await onWebGpu(squaredDistance(d, m)), d, m, 12));
    assert.deepEqual((await objectiveBlocks(gpu)).gradient, { granularity: 1, rows: 8 });
    for (const n of [1, 3, 8, 21]) {
      const [z, c] = [numbers(1, n * d), numbers(2, n * m)];
      const before = addon.rowsRun();
      const got = await gpu.evaluate(z, c, n).promise;
      assert.equal(addon.rowsRun() - before, n === 3 ? 4 : Math.min(n, 8) * Math.ceil(n / 8), `${n} rows`);
      const expected = await cpu.evaluate(z, c, n).promise;
      for (const name of ["energies", "gradients"] as const)
        expected[name].forEach((value, i) =>
          assert.ok(Math.abs(value - got[name][i]!) <= 1e-5 * (1 + Math.abs(value)), `${name} ${n}`),
        );
    }
  });

  it("close the device when the last of them is gone, and open it again", async () => {
    const script = `
      const { native } = await import("./lib/native/binding.ts");
      const { mlp } = await import("./test/support/bridge-models.ts");
      for (const i of [1, 2, 3]) {
        const session = await native().openSession(mlp(3, 5, 2), { device: "webgpu" }).promise;
        const { y } = await session.run({ x: { data: new Float32Array(3), shape: [1, 3] } }).promise;
        session.dispose();
        await new Promise((resolve) => setTimeout(resolve, 200));
        console.log(y.data.length, native().counters().runtimeDevices);
      }`;
    const { code, stdout, stderr } = await finish(process.execPath, [...moduleScript, script]);
    assert.equal(stdout, "2 0\n2 0\n2 0\n", stderr);
    assert.equal(code, 0);
  });
});

describe("bridge: sessions on WebGPU that is not there", () => {
  const unavailable = async (environment: Record<string, string>, message: RegExp) => {
    const script = `
      const { native } = await import("./lib/native/binding.ts");
      const { mlp } = await import("./test/support/bridge-models.ts");
      await native().openSession(mlp(3, 5, 2), { device: "webgpu" }).promise.catch(({ code, message }) => console.log(code, message));
      const session = await native().openSession(mlp(3, 5, 2)).promise;
      await session.run({ x: { data: new Float32Array(3), shape: [1, 3] } }).promise;`;
    const { code, stdout, stderr } = await finish(process.execPath, [...moduleScript, script], {
      env: { ...process.env, ...environment },
    });
    assert.equal(code, 0, stderr);
    assert.equal(stderr, "");
    assert.match(stdout, /^ERR_DEVICE_UNAVAILABLE /);
    assert.match(stdout, message);
  };

  it("say which driver is missing, and leave the CPU usable", async () => {
    await unavailable(
      { VK_ICD_FILENAMES: "/nowhere" },
      /Vulkan finds no driver: .* unset VK_ICD_FILENAMES, .*\/nowhere|libvulkan\.so\.1.*apt-get install libvulkan1/,
    );
  });

  it("say that the Vulkan loader is missing, and what to install", async () => {
    // A file that is no library stands in the loader's place.
    const folder = await mkdtemp(join(tmpdir(), "no-vulkan-"));
    try {
      await writeFile(join(folder, "libvulkan.so.1"), "no library");
      await unavailable({ LD_LIBRARY_PATH: folder }, /libvulkan\.so\.1.*apt-get install libvulkan1/);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
