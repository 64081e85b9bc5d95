/**
 * Tr0n with models and samplers on one GPU that is not there: kernels on the emulated driver, models on the plug-in provider
 * of native/emulator/provider, in one stream. test/lib/sampler-matrix.long.test.ts has every sampler with every energy on it.
 */
import assert from "node:assert/strict";
import {
  augmentation,
  loadModel,
  sampler,
  Tr0n,
  Tr0nError,
  type Model,
  type Sampler,
  type Samples,
} from "../../lib/index.js";
import {
  checkEmulator,
  emulator,
  gpusClosed,
  realGpu,
  requireGpu,
  type Emulator,
} from "../support/devices.js";
import { close, rejects, tinyEncoder, tinyGenerator } from "../support/tiny.js";

const training = { pairs: 200, epochs: 2, batchSize: 32, seed: 3 };
const [count, copies] = [8, 2];
const [launchFailed, outOfMemory] = [719, 2];

describe("Tr0n with its models on a GPU (emulated)", function () {
  this.timeout(120_000);
  let hooks: Emulator;
  let generator: Model;
  let encoder: Model;
  before(async function () {
    requireGpu(this);
    if (realGpu) this.skip();
    hooks = emulator()!;
    hooks.reset();
    generator = await loadModel(tinyGenerator());
    encoder = await loadModel(tinyEncoder({ scale: 2 }));
  });
  after(async () => {
    for (const model of [generator, encoder]) model?.[Symbol.dispose]();
    await checkEmulator();
  });
  const create = (device: "cpu" | "cuda", augment = false) =>
    Tr0n.create({
      generator,
      encoder,
      seed: 1,
      device,
      ...(augment ? { augment: augmentation.policy({ copies }) } : {}),
    });
  const draw = (tr0n: Tr0n, chosen: Sampler): Promise<Samples> =>
    tr0n.sample({ class: [2, 0] }, { count: count / 2, seed: 7, sampler: chosen });
  const provider = () => JSON.parse(hooks.provider()) as { runs: number; deferred: number; left: string[] };

  const trained = async (device: "cpu" | "cuda", augment = false): Promise<Tr0n> => {
    const tr0n = await create(device, augment);
    await tr0n.train(training);
    return tr0n;
  };

  for (const augment of [false, true])
    it(`computes what the CPU computes, in one stream${augment ? ", augmented" : ""}`, async () => {
      const before = provider();
      using cpu = await trained("cpu", augment);
      assert.equal(provider().runs, before.runs);
      using gpu = await trained("cuda", augment);
      assert.deepEqual([gpu.device, gpu.modelDevice], ["cuda:0", "cuda:0"]);
      close(gpu.translator!.native.values(), cpu.translator!.native.values(), 1e-3, "parameters");
      const [got, expected] = [
        await draw(gpu, sampler.mala({ steps: 3 })),
        await draw(cpu, sampler.mala({ steps: 3 })),
      ];
      close(got.latents.data, expected.latents.data, 2e-3, "latents");
      close(got.images.data, expected.images.data, 2e-3, "images");
      const after = provider();
      const [all, deferred] = [after.runs - before.runs, after.deferred - before.deferred];
      assert.ok(deferred > 20 && all > deferred, `${all} runs, ${deferred} deferred`);
      assert.deepEqual(after.left, before.left);
    });

  it("leaves models on the CPU that were loaded there, and samples on the GPU", async () => {
    using onCpu = await loadModel(tinyGenerator(), { device: "cpu" });
    using encoderOnCpu = await loadModel(tinyEncoder({ scale: 2 }), { device: "cpu" });
    const before = provider().runs;
    using mixed = await Tr0n.create({ generator: onCpu, encoder: encoderOnCpu, seed: 1, device: "cuda" });
    await mixed.train(training);
    using cpu = await trained("cpu");
    const chosen = sampler.mala({ steps: 3 });
    const [got, expected] = [await draw(mixed, chosen), await draw(cpu, chosen)];
    close(got.latents.data, expected.latents.data, 2e-3, "latents");
    close(got.energies, expected.energies, 2e-3, "energies");
    assert.equal(mixed.device, "cuda:0");
    assert.equal(provider().runs, before);
  });

  // The mistakes are made in the double: models run in a stream of their own, or write there, without an event.
  for (const mistake of ["own-stream", "late-outputs"] as const)
    it(`shows a missing synchronisation: ${mistake}`, async () => {
      const chosen = sampler.langevin({ steps: 2 });
      {
        using gpu = await trained("cuda");
        const expected = await draw(gpu, chosen);
        hooks.plant(mistake, 1);
        const noticed = await draw(gpu, chosen).then(
          (got) =>
            got.latents.data.some((value, i) => value !== expected.latents.data[i]) || hooks.violations() > 0,
          () => true,
        );
        hooks.plant(mistake, 0);
        assert.ok(noticed, "nobody noticed");
      }
      await gpusClosed();
      hooks.reset();
      using again = await trained("cuda");
      await draw(again, chosen);
      assert.equal(hooks.violations(), 0, hooks.report());
    });

  /** A wait for kernels or a model's run may be the first to notice. */
  const lost = (ended: Promise<unknown>) =>
    assert.rejects(ended, (error: Tr0nError) => {
      assert.ok(error instanceof Tr0nError, String(error));
      assert.ok(
        ["ERR_KERNEL_FAILED", "ERR_DEVICE_LOST"].includes(error.code),
        `${error.code} ${error.message}`,
      );
      assert.match(error.message, /cuda:0/);
      return true;
    });
  it("is lost in the middle of a run: a typed error, and everything else goes on", async () => {
    using cpu = await trained("cpu");
    const chosen = sampler.mala({ steps: 3 });
    const expected = await draw(cpu, chosen);
    // In the translator, in the candidates' energies, and in a step.
    for (const nth of [3, 40, 70]) {
      {
        using gpu = await trained("cuda");
        hooks.fail("@work", nth, launchFailed, 0);
        await lost(draw(gpu, chosen));
        hooks.failNone();
        await lost(draw(gpu, chosen));
        const meanwhile = await draw(cpu, chosen);
        assert.deepEqual(meanwhile.latents.data, expected.latents.data);
      }
      await gpusClosed();
    }
    using fresh = await trained("cuda");
    close((await draw(fresh, chosen)).latents.data, expected.latents.data, 2e-3, "latents");
  });

  it("runs out of memory at any allocation: a typed error, and works on", async () => {
    using gpu = await trained("cuda");
    const chosen = sampler.mala({ steps: 2 });
    const expected = await draw(gpu, chosen);
    let failures = 0;
    for (let nth = 1; ; nth += 1 + (nth >> 2)) {
      hooks.fail("cuMemAlloc*", nth, outOfMemory, 1);
      const ended = draw(gpu, chosen);
      const failed = await ended.then(
        () => false,
        () => true,
      );
      hooks.failNone();
      if (!failed) break;
      failures++;
      await rejects(ended, "ERR_OUT_OF_MEMORY");
      assert.deepEqual((await draw(gpu, chosen)).latents.data, expected.latents.data);
    }
    assert.ok(failures > 3, `${failures}`);
  });
  /** What the augmentation draws for a copy on the host. */
  const drawnNumbers = 11;
  for (const augment of [false, true])
    it(`brings at most 8 bytes a chain to the host in a step, and images once${augment ? ", augmented" : ""}`, async () => {
      using tr0n = await trained("cuda", augment);
      const bytes = async (chosen: Sampler) => {
        await draw(tr0n, chosen);
        hooks.reset();
        const { images } = await draw(tr0n, chosen);
        const { toDevice, toHost } = JSON.parse(hooks.traffic()) as { toDevice: number; toHost: number };
        assert.ok(toHost >= images.data.byteLength && toHost < 2 * images.data.byteLength, `${toHost}`);
        return { toDevice, toHost };
      };
      const samplers: Record<string, (steps: number) => Sampler> = {
        mala: (steps) => sampler.mala({ steps }),
        langevin: (steps) => sampler.langevin({ steps }),
        hybrid: (steps) => sampler.hybrid({ steps }),
        resample: (steps) => sampler.resample({ candidates: 4, minEss: 0, steps }),
      };
      for (const [name, make] of Object.entries(samplers)) {
        const [few, many] = [await bytes(make(2)), await bytes(make(6))];
        const perStep = (way: "toDevice" | "toHost") => (many[way] - few[way]) / 4 / count;
        assert.ok(perStep("toHost") <= 8, `${name}: ${perStep("toHost")} bytes to the host`);
        assert.equal(perStep("toDevice"), augment ? copies * drawnNumbers * 4 : 0, `${name}: to the device`);
      }
    });
});
