/** TorchScript in a service: the event loop turns, aborts come through, memory stays flat. */
import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { energy, loadModel, sampler, tensor, Tr0n, type Model } from "../../lib/index.js";
import { native } from "../../lib/native/binding.js";
import { seeded } from "../support/numbers.js";
import { demoFile, needsTorch } from "../support/torch.js";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
const idle = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Loads, runs, differentiates and disposes; TR0N_CYCLES says how often instead of 150. */
const cycles = Number(process.env["TR0N_CYCLES"] ?? 150);

describe("torchscript: in a service", function () {
  this.timeout(600_000);
  let generator: Model;
  let encoder: Model;
  let tr0n: Tr0n;
  before(async function () {
    needsTorch(this);
    [generator, encoder] = await Promise.all([
      loadModel(demoFile("gan-generator.pt")),
      loadModel(demoFile("classifier.pt")),
    ]);
    tr0n = await Tr0n.create({ generator, encoder, energy: energy.crossEntropy(), seed: 1 });
    await tr0n.objective.native(true);
  });
  after(() => {
    for (const item of [tr0n, encoder, generator]) item?.dispose();
  });

  it("the event loop turns while models load, run and sample", async () => {
    let turns = 0;
    const ticker = setInterval(() => turns++, 5);
    const start = performance.now();
    const [loaded] = await Promise.all([
      loadModel(demoFile("vae-decoder.pt")),
      generator.vjp(
        tensor(seeded(1).normals(256 * 64), [256, 64]),
        tensor(seeded(2).normals(256 * 3072), [256, 3, 32, 32]),
      ),
      tr0n.sample(
        { class: [0, 1, 2] },
        { count: 40, seed: 1, sampler: sampler.langevin({ start: "prior", steps: 10 }) },
      ),
    ]);
    const elapsed = performance.now() - start;
    clearInterval(ticker);
    loaded.dispose();
    assert.ok(elapsed > 100, "the run must be long enough to say something");
    assert.ok(turns > elapsed / 100, `${turns} turns of a 5 ms timer in ${elapsed.toFixed(0)} ms`);
  });

  it("aborts between two steps, and between the runs of a model", async () => {
    const stop = new AbortController();
    let last = 0;
    const run = tr0n.sample(
      { class: 5 },
      {
        count: 40,
        seed: 1,
        sampler: sampler.langevin({ start: "prior", steps: 10_000 }),
        signal: stop.signal,
        onProgress: ({ step }) => {
          last = step;
          if (step >= 2) stop.abort();
        },
      },
    );
    await assert.rejects(run, { code: "ERR_ABORTED" });
    assert.ok(last >= 2 && last < 100, `stopped at step ${last}`);
    const early = new AbortController();
    const x = tensor(new Float32Array(64), [1, 64]);
    const pending = generator.run(x, { signal: early.signal });
    early.abort();
    await assert.rejects(pending, { code: "ERR_ABORTED" });
    assert.equal((await generator.run(x))["output"]!.shape[0], 1);
  });

  it("dispose() ends what runs, and what comes later says so", async () => {
    const own = await loadModel(demoFile("classifier.pt"));
    const pending = own.run(tensor(new Float32Array(64 * 3072), [64, 3, 32, 32]));
    own.dispose();
    await assert.rejects(pending, { code: "ERR_DISPOSED" });
    await assert.rejects(own.run(tensor(new Float32Array(3072), [1, 3, 32, 32])), { code: "ERR_DISPOSED" });
    await assert.rejects(Tr0n.create({ generator, encoder: own }), { code: "ERR_DISPOSED" });
  });

  it(`${cycles} cycles of load, run, differentiate, fail, dispose leave nothing behind`, async () => {
    const x = tensor(seeded(1).normals(8 * 3072), [8, 3, 32, 32]);
    const seed = tensor(seeded(2).normals(80), [8, 10]);
    const cycle = async (): Promise<void> => {
      using model = await loadModel(demoFile("classifier.pt"));
      await model.run(x);
      await model.vjp(x, seed);
      await assert.rejects(model.run(tensor(new Float32Array(6), [1, 6])));
    };
    const settle = async (): Promise<number> => {
      for (let i = 0; i < 4; i++) {
        collect();
        await idle(5);
      }
      native().trim();
      return process.memoryUsage().rss / 2 ** 20;
    };
    for (let i = 0; i < 10; i++) await cycle();
    const start = native().counters();
    const looks: number[] = [];
    for (let i = 0; i < cycles; i++) {
      await cycle();
      if (i % Math.floor(cycles / 10) === 0) looks.push(await settle());
    }
    const end = native().counters();
    for (const kind of Object.keys(start) as (keyof typeof start)[])
      assert.ok(end[kind] <= start[kind], kind);
    // The least of several looks: the allocator's own housekeeping moves it up and down by 20 MB. The weights alone,
    // left behind by every cycle, would be 57 MB.
    const [before, after] = [Math.min(...looks.slice(0, 4)), Math.min(...looks.slice(-4))];
    if (process.env["TR0N_CYCLES"])
      process.stdout.write(`      ${before.toFixed(1)} MB, then ${after.toFixed(1)} MB\n`);
    assert.ok(after - before < 30, `${before.toFixed(1)} MB became ${after.toFixed(1)} MB`);
  });
});
