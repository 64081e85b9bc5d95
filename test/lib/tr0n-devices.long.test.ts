import assert from "node:assert/strict";
import { join } from "node:path";
import {
  loadModel,
  sampler,
  Tr0n,
  type Model,
  type Sampler,
  type Samples,
  type Tr0nOptions,
} from "../../lib/index.js";
import { tr0n as program, workplace } from "../support/cli.js";
import { checkEmulator, emulator, onDevices, realGpu, requireGpu } from "../support/devices.js";
import { bits, close, rejects, tinyEncoder, tinyGenerator, withFolder } from "../support/tiny.js";

const settings = { pairs: 300, epochs: 3, batchSize: 32, seed: 3 };
const recipes: Record<string, Sampler> = {
  resample: sampler.resample({ candidates: 8, maxCandidates: 16 }),
  mala: sampler.mala({ steps: 3 }),
  langevin: sampler.langevin({ steps: 3 }),
  hybrid: sampler.hybrid({ steps: 3 }),
  direct: sampler.direct(),
  "from the prior": sampler.mala({ start: "prior", steps: 2 }),
};

onDevices("Tr0n from end to end", (device) => {
  let generator: Model;
  let encoder: Model;
  let tr0n: Tr0n;
  let reference: Tr0n;
  const create = (options: Partial<Tr0nOptions> = {}) =>
    Tr0n.create({ generator, encoder, seed: 1, device, ...options });
  before(async function () {
    this.timeout(240_000);
    generator = await loadModel(tinyGenerator());
    encoder = await loadModel(tinyEncoder({ scale: 2 }));
    reference = await create({ device: "cpu" });
    await reference.train(settings);
    tr0n = await create();
    await tr0n.train(settings);
  });
  after(() => {
    for (const item of [tr0n, reference, generator, encoder]) item?.[Symbol.dispose]();
  });

  it("says where it computes", async () => {
    assert.equal(tr0n.device, device === "cpu" ? "cpu" : "cuda:0");
    assert.equal(tr0n.translator!.device, tr0n.device);
    using tf32 = await create({ precision: "tf32" });
    assert.deepEqual([tr0n.precision, tf32.precision], ["fp32", "tf32"]);
    using auto = await create({ device: "auto" });
    assert.equal(auto.device, "cpu"); // TR0N_DEVICE of these tests
    await rejects(
      create({ device: "cuda:99" }),
      "ERR_DEVICE_UNAVAILABLE",
      /^device: "cuda:99" cannot be used/,
    );
    await rejects(create({ precision: "fp16" as never }), "ERR_INVALID_ARGUMENT", /precision/);
  });

  it("trains as the CPU does", async () => {
    close(tr0n.translator!.native.values(), reference.translator!.native.values(), 1e-3, "parameters");
    const [got, expected] = [tr0n.report!, reference.report!];
    close([got.trainLoss, got.heldOutNll], [expected.trainLoss, expected.heldOutNll], 1e-3);
    assert.deepEqual([got.steps, got.pairs], [expected.steps, expected.pairs]);
  });

  it("trains in tf32, close to fp32", async () => {
    using fresh = await create({ precision: "tf32" });
    const report = await fresh.train({ ...settings, epochs: 1 });
    using same = await create({ device: "cpu" });
    close([report.heldOutNll], [(await same.train({ ...settings, epochs: 1 })).heldOutNll], 2e-2);
  });

  for (const [name, chosen] of Object.entries(recipes))
    it(`samples as the CPU does: ${name}`, async () => {
      await withFolder(async (folder) => {
        // The same parameters on both.
        const path = join(folder, "t.safetensors");
        await reference.save(path);
        using same = await Tr0n.load(path, { generator, encoder, device });
        assert.equal(same.device, tr0n.device);
        assert.equal(bits(same.translator!.native.values()), bits(reference.translator!.native.values()));
        const draw = (from: Tr0n): Promise<Samples> =>
          from.sample({ class: [2, 0] }, { count: 5, seed: 7, sampler: chosen });
        const [got, expected] = [await draw(same), await draw(reference)];
        close(got.latents.data, expected.latents.data, 2e-3, "latents");
        close(got.energies, expected.energies, 2e-3, "energies");
        assert.deepEqual([...got.candidates], [...expected.candidates]);
      });
    });

  it("gives the same bits alone and in a crowd", async () => {
    const options = { seed: 11, sampler: recipes["resample"]! };
    const whole = await tr0n.sample({ class: [0, 1, 2] }, { count: 9, ...options });
    const alone = await tr0n.sample({ class: 1 }, { count: 2, ...options });
    assert.equal(bits(alone.latents.data), bits(whole.latents.data.slice(9 * 6, 11 * 6)));
  });

  it("runs several calls at once, each with its own result", async () => {
    const draw = (seed: number): Promise<Samples> =>
      tr0n.sample({ class: 1 }, { count: 3, seed, sampler: recipes["resample"]! });
    const alone = [await draw(1), await draw(2)];
    const [training, ...together] = await Promise.all([
      (async () => {
        using fresh = await create();
        await fresh.train(settings);
        return bits(fresh.translator!.native.values());
      })(),
      draw(1),
      draw(2),
    ]);
    assert.deepEqual(
      together.map((samples) => bits(samples.latents.data)),
      alone.map((samples) => bits(samples.latents.data)),
    );
    assert.equal(training, bits(tr0n.translator!.native.values()));
  });

  it("continues a training from its checkpoint, with the same result", async () => {
    await withFolder(async (folder) => {
      using stopped = await create();
      const checkpoint = join(folder, "checkpoint");
      const controller = new AbortController();
      await rejects(
        stopped.train({
          ...settings,
          checkpoint,
          checkpointSeconds: 0,
          signal: controller.signal,
          onProgress: (p) => p.phase === "train" && p.done >= 5 && controller.abort(),
        }),
        "ERR_ABORTED",
      );
      await stopped.train({ ...settings, checkpoint });
      assert.equal(bits(stopped.translator!.native.values()), bits(tr0n.translator!.native.values()));
    });
  });

  it("stops where it is told to, and works on", async () => {
    const controller = new AbortController();
    const running = tr0n.sample(
      { class: 1 },
      {
        count: 2,
        steps: 100_000,
        signal: controller.signal,
        onProgress: (p) => p.step === 2 && controller.abort(),
      },
    );
    await rejects(running, "ERR_ABORTED");
    assert.equal((await tr0n.sample({ class: 1 }, { count: 2, steps: 1 })).energies.length, 2);
  });

  it("is there on the command line", async () => {
    const { path, models, remove } = await workplace();
    try {
      const translator = path("t.safetensors");
      const train = ["train", ...models, "-n", "60", "--epochs", "1", "--seed", "1", "-o", translator];
      const place = ["--device", device, "--json"];
      const trained = await program([...train, ...place, "--precision", "tf32"]);
      assert.equal(trained.code, 0, trained.error);
      assert.equal(trained.json()["device"], tr0n.device);
      const drawn = await program([
        ...["sample", "--translator", translator, ...models, "--class", "1", "-n", "2", "--seed", "1"],
        ...["-o", path("x.png"), ...place],
      ]);
      assert.equal(drawn.code, 0, drawn.error);
      assert.equal(drawn.json()["device"], tr0n.device);
      const wrong = await program([...train, "--device", "cuda:99"]);
      assert.equal(wrong.code, 1);
      assert.match(wrong.error, /cuda:99.*ERR_DEVICE_UNAVAILABLE/);
      assert.equal((await program([...train, "--device", "tpu"])).code, 2);
    } finally {
      await remove();
    }
  });
});

describe("a GPU that fails", function () {
  this.timeout(120_000);
  let generator: Model;
  let encoder: Model;
  before(async function () {
    if (realGpu) this.skip();
    requireGpu(this);
    generator = await loadModel(tinyGenerator());
    encoder = await loadModel(tinyEncoder({ scale: 2 }));
  });
  after(() => {
    for (const item of [generator, encoder]) item?.[Symbol.dispose]();
  });
  afterEach(() => emulator()?.failNone());
  const create = (device: "cpu" | "cuda"): Promise<Tr0n> =>
    Tr0n.create({ generator, encoder, seed: 1, device });
  const launchFailed = 719;

  it("is a typed error for every call, its translator can be saved, and everything else goes on", async () => {
    using cpu = await create("cpu");
    await cpu.train(settings);
    const expected = bits((await cpu.sample({ class: 1 }, { count: 2, seed: 1 })).latents.data);
    await withFolder(async (folder) => {
      const path = join(folder, "t.safetensors");
      {
        using gpu = await create("cuda");
        await gpu.train(settings);
        const values = bits(gpu.translator!.native.values());
        emulator()!.fail("cuLaunchKernel", 3, launchFailed, 0);
        await rejects(
          gpu.sample({ class: 1 }, { count: 2, seed: 1 }),
          "ERR_KERNEL_FAILED",
          /cuda:0: cuLaunchKernel: CUDA_ERROR_LAUNCH_FAILED.*kernel \w+, grid/,
        );
        await rejects(gpu.sample({ class: 1 }), "ERR_DEVICE_LOST", /cuda:0 cannot be used any more/);
        await rejects(gpu.train(settings), "ERR_DEVICE_LOST");
        {
          using other = await create("cuda");
          await rejects(other.train(settings), "ERR_DEVICE_LOST");
        }
        assert.equal(bits(gpu.translator!.native.values()), values);
        await gpu.save(path);
        assert.equal(bits((await cpu.sample({ class: 1 }, { count: 2, seed: 1 })).latents.data), expected);
      }
      // What was saved goes on where there is a device; the GPU too, once nothing lives on it any more.
      using again = await Tr0n.load(path, { generator, encoder, device: "cpu" });
      assert.equal((await again.sample({ class: 1 }, { count: 2 })).energies.length, 2);
    });
  });

  it("is open again when all that lived on it is gone", async () => {
    await checkEmulator();
    using gpu = await create("cuda");
    await gpu.train({ ...settings, epochs: 1 });
  });

  it("runs out of memory in a training, and keeps the translator it had", async () => {
    using gpu = await create("cuda");
    await gpu.train(settings);
    const values = bits(gpu.translator!.native.values());
    for (const nth of [1, 3, 9]) {
      emulator()!.fail("cuMemAllocAsync", nth, 2, 1);
      await rejects(
        gpu.train({ ...settings, epochs: 1 }),
        "ERR_OUT_OF_MEMORY",
        /cuMemAllocAsync.*MiB are free/,
      );
      emulator()!.failNone();
      assert.equal(bits(gpu.translator!.native.values()), values);
    }
    await gpu.train({ ...settings, epochs: 1 });
  });

  it("leaves nothing behind", () => checkEmulator());
});
