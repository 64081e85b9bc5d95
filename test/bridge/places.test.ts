/**
 * Where values of pipelines lie: nothing crosses between neighbours in one place, between two places only what lies between
 * them does, and the numbers are the CPU's whatever the places.
 */
import assert from "node:assert/strict";
import type { NativeObjective } from "../../lib/native/types/pipeline.js";
import type { ModelDeviceId } from "../../lib/native/types/devices.js";
import { decodeModel, type Graph, type Target } from "../../lib/onnx/index.js";
import { mlp } from "../support/bridge-models.js";
import { classes, crossEntropy, load, objectiveOf, segmentOf } from "../support/bridge-pipelines.js";
import { addon, rejectsCode, sameBits } from "../support/bridge.js";
import { checkEmulator, emulator, realGpu, requireGpu } from "../support/devices.js";
import { relativeError, seeded } from "../support/numbers.js";
import { requireWebGpu } from "../support/webgpu.js";

/** A generator and a classifier; rows of latents and of images. */
interface Models {
  generator: Graph;
  encoder: Graph;
  latent: number[];
  image: number[];
}
type Devices = [generator: ModelDeviceId, encoder: ModelDeviceId, energy: ModelDeviceId];

/** Little enough for a device that compiles shaders. */
const small: Models = {
  generator: decodeModel(mlp(6, 9, 12), "generator"),
  encoder: decodeModel(mlp(12, 9, classes), "encoder"),
  latent: [6],
  image: [12],
};

/** Blocks have 8 rows at most: 11 rows are two blocks, padded to 16. */
const [n, padded, block] = [11, 16, 8];
const size = (row: number[]) => row.reduce((a, b) => a * b, 1);

async function pipeline(models: Models, devices: Devices, target?: Target): Promise<NativeObjective> {
  const { generator, encoder, latent, image } = models;
  const opening = (i: 0 | 1 | 2) => ({ device: devices[i], ...(target && { target }) });
  const segments = [
    await segmentOf(generator, latent, "generator", opening(0)),
    await segmentOf(encoder, image, "encoder", opening(1)),
  ];
  const made = await objectiveOf(segments, crossEntropy(), [classes], { ...opening(2), maxBatch: block });
  // The objective holds them.
  for (const { forward, recorded, backward } of segments)
    for (const session of [forward, recorded, backward]) session?.dispose();
  return made;
}

async function crossed<T>(work: () => Promise<T>): Promise<{ result: T; toDevice: number; toHost: number }> {
  const before = addon.crossings();
  const result = await work();
  const after = addon.crossings();
  return { result, toDevice: after.toDevice - before.toDevice, toHost: after.toHost - before.toHost };
}

describe("bridge: places of values", function () {
  this.timeout(120_000);
  const numbers = seeded(5);
  const c = Float32Array.from({ length: n * classes }, (_, i) =>
    i % classes === ((i * 7) % 10) >> 0 ? 1 : 0,
  );

  /** Numbers as the CPU's in the target's forms, and floats that cross for the rows. */
  async function check(
    models: Models,
    devices: Devices,
    target: Target,
    floats: { toDevice: number; toHost: number },
    close: (got: Float32Array, wanted: Float32Array, what: string) => void,
  ) {
    const z = numbers.normals(n * size(models.latent));
    const here = await pipeline(models, ["cpu", "cpu", "cpu"], target);
    const expected = await crossed(() => here.evaluate(z, c, n).promise);
    assert.deepEqual([expected.toDevice, expected.toHost], [0, 0]);
    const there = await pipeline(models, devices, target);
    await there.evaluate(z, c, n).promise; // the first learns the outputs' shapes
    const got = await crossed(() => there.evaluate(z, c, n).promise);
    assert.deepEqual([got.toDevice / 4, got.toHost / 4], [floats.toDevice, floats.toHost], devices.join());
    for (const name of ["energies", "gradients"] as const)
      close(got.result[name], expected.result[name], `${name}: ${devices.join()}`);
    const alone = await there.energy(z, c, n).promise;
    close(alone, await here.energy(z, c, n).promise, `energies alone: ${devices.join()}`);
    for (const made of [here, there]) made.dispose();
  }

  describe("on a GPU (emulated)", () => {
    const demo: Models = {
      generator: load("gan-generator"),
      encoder: load("classifier"),
      latent: [64],
      image: [3, 32, 32],
    };
    const [latent, image] = [64, 3 * 32 * 32];
    before(function () {
      requireGpu(this);
      if (realGpu) this.skip();
      emulator()!.reset();
    });
    after(() => checkEmulator());
    const traffic = () => JSON.parse(emulator()!.traffic()) as { toDevice: number; toHost: number };

    it("are the caller's alone where all models are there, and padding stays there", async () => {
      await check(demo, ["cuda:0", "cuda:0", "cuda:0"], "cuda", { toDevice: 0, toHost: 0 }, sameBits);
      const there = await pipeline(demo, ["cuda:0", "cuda:0", "cuda:0"]);
      const z = numbers.normals(n * latent);
      await there.evaluate(z, c, n).promise;
      emulator()!.reset();
      await there.evaluate(z, c, n).promise;
      const { toDevice, toHost } = traffic();
      assert.deepEqual([toDevice / 4, toHost / 4], [n * (latent + classes), n * (1 + latent)]);
      there.dispose();
    });

    it("are what lies between two places, where they differ", async () => {
      const between = padded * (image + classes);
      await check(demo, ["cpu", "cuda:0", "cpu"], "cuda", { toDevice: between, toHost: between }, sameBits);
      const first = padded * (latent + image);
      await check(demo, ["cuda:0", "cpu", "cpu"], "cuda", { toDevice: first, toHost: first }, sameBits);
    });

    it("are counted as the driver counts copies", async () => {
      const there = await pipeline(demo, ["cpu", "cuda:0", "cuda:0"], "cuda");
      const z = numbers.normals(n * latent);
      await there.evaluate(z, c, n).promise;
      emulator()!.reset();
      const { toDevice, toHost } = await crossed(() => there.evaluate(z, c, n).promise);
      const copied = traffic();
      assert.deepEqual([copied.toDevice, copied.toHost], [toDevice, toHost]);
      assert.equal(toHost / 4, padded * (1 + image));
      there.dispose();
    });
  });

  describe("on a GPU (emulated) without memory", () => {
    before(function () {
      requireGpu(this);
      if (realGpu) this.skip();
      emulator()!.reset();
    });
    afterEach(() => emulator()!.failNone());
    after(() => checkEmulator());

    it("are computed in blocks of half the rows, whichever allocation fails", async () => {
      const there = await pipeline(small, ["cuda:0", "cuda:0", "cuda:0"]);
      const z = numbers.normals(n * 6);
      const expected = await there.evaluate(z, c, n).promise;
      let failures = 0;
      for (let nth = 1; nth < 100; nth++) {
        const fresh = await pipeline(small, ["cuda:0", "cuda:0", "cuda:0"]);
        await fresh.evaluate(z.subarray(0, 6), c.subarray(0, classes), 1).promise;
        const before = addon.rowsRun();
        const calls = emulator()!.calls("cuMemAlloc*");
        emulator()!.fail("cuMemAlloc*", nth, 2, 0);
        const got = await fresh.evaluate(z, c, n).promise;
        emulator()!.failNone();
        const rows = addon.rowsRun() - before;
        for (const name of ["energies", "gradients"] as const)
          assert.ok(relativeError(got[name], expected[name]) < 1e-5, `${name}, allocation ${nth}`);
        fresh.dispose();
        // Our own memory tries again after it has given back what it keeps.
        if (rows !== padded) failures++;
        if (emulator()!.calls("cuMemAlloc*") - calls < nth) break;
      }
      assert.ok(failures > 3, `${failures} allocations`);
      there.dispose();
    });

    it("say what is wanted and what is free where not even a row fits", async () => {
      const there = await pipeline(small, ["cuda:0", "cuda:0", "cuda:0"]);
      const [z, one] = [numbers.normals(n * 6), c.subarray(0, classes)];
      const expected = (await there.evaluate(z.subarray(0, 6), one, 1).promise).energies;
      emulator()!.fail("cuMemAlloc*", 5, 2, 1); // behind what the caller's arrays take
      await rejectsCode(
        there.evaluate(z, c, n).promise,
        "ERR_OUT_OF_MEMORY",
        /smallest block, of 1 row, does not fit: it wants \d+ bytes .*; \d+ of \d+ bytes of cuda:0 are free/,
      );
      emulator()!.failNone();
      sameBits((await there.evaluate(z.subarray(0, 6), one, 1).promise).energies, expected, "afterwards");
      there.dispose();
    });
  });

  describe("on WebGPU", () => {
    const near = (got: Float32Array, wanted: Float32Array, what: string) =>
      assert.ok(relativeError(got, wanted) < 1e-4, what);
    before(function () {
      return requireWebGpu(this);
    });

    it("go from model to model without the host", async () => {
      const floats = { toDevice: padded * (6 + classes), toHost: padded * (1 + 6) };
      await check(small, ["webgpu", "webgpu", "webgpu"], "webgpu", floats, near);
    });

    it("come to the host where a model is on the CPU", async () => {
      const first = padded * (6 + 12);
      await check(small, ["webgpu", "cpu", "cpu"], "webgpu", { toDevice: first, toHost: first }, near);
    });
  });
});
