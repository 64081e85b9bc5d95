import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { NativeCounters } from "../../lib/native/types/addon.js";
import { distanceConfig, squaredDistance } from "../support/bridge-models.js";
import { addon, idle, open, repositoryFile } from "../support/bridge.js";
import { numbers } from "../support/numbers.js";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Finalizers of handed-over memory run in later turns of the event loop. */
async function settle() {
  for (let i = 0; i < 4; i++) {
    collect();
    await idle(5);
  }
  addon.trim();
}

/**
 * Resident megabytes before and after: the least of several looks, some cycles apart, since the allocator's own
 * housekeeping moves it up and down by more than ten.
 */
async function growth(cycles: number, cycle: (i: number) => Promise<void>): Promise<[number, number]> {
  const looks: number[] = [];
  for (let i = 0; i < cycles; i++) {
    await cycle(i);
    if (i % Math.floor(cycles / 10) !== 0) continue;
    await settle();
    looks.push(process.memoryUsage().rss / 2 ** 20);
  }
  return [Math.min(...looks.slice(0, 4)), Math.min(...looks.slice(-4))];
}

/** Fewer is possible: what other tests forgot to dispose of is collected meanwhile. */
function noMore(start: NativeCounters): void {
  for (const [kind, count] of Object.entries(addon.counters()) as [keyof NativeCounters, number][])
    assert.ok(count <= start[kind], `${start[kind]} ${kind} became ${count}`);
}

describe("bridge: nothing is left behind", function () {
  this.timeout(180_000);

  it("by 300 cycles of open, run, cancel, dispose", async () => {
    const model = new Uint8Array(await readFile(repositoryFile("models/classifier.onnx")));
    const n = 16;
    const images = numbers(1, n * 3 * 32 * 32);
    const prior = { kind: "normal", dim: 3 * 32 * 32 } as const;
    async function cycle(i: number) {
      const session = await open(model);
      await session.run({ image: { data: images, shape: [n, 3, 32, 32] } }).promise;
      const map = addon.createRowMap({
        session,
        input: "image",
        inputShape: [3, 32, 32],
        outputs: ["logits"],
        fixedBatch: 0,
        maxBatch: 1 + (i % 3),
      });
      session.dispose();
      await map.run(images, n).promise;
      await map.pairs(prior, 1n, 0, n).promise; // 200 KB of latents are handed over
      const cancelled = map.run(images, n);
      cancelled.cancel();
      await cancelled.promise.catch(() => undefined);
      map.dispose();
      await open(model.subarray(0, 1000)).catch(() => undefined);
    }
    await cycle(0);
    const start = addon.counters();
    const [before, after] = await growth(300, cycle);
    noMore(start);
    assert.ok(after - before < 12, `${before.toFixed(1)} MB became ${after.toFixed(1)} MB`);
  });

  it("by objectives, translators, trainers and samples", async () => {
    const d = 32;
    const m = 4;
    const model = squaredDistance(d, m);
    const pairs = 4000;
    const z = numbers(1, pairs * d);
    const c = numbers(2, pairs * m);
    async function cycle(i: number) {
      const session = await open(model);
      const objective = addon.createObjective(distanceConfig(session, d, m, 32));
      session.dispose();
      const translator = addon.createTranslator({ condition: m, hidden: 32, latent: d, components: 4 }, 1n);
      const config = { epochs: 1, batch: 256, learningRate: 1e-3, seed: 1n };
      const trainer = addon.createTrainer(translator, config, z, c, null, pairs);
      await trainer.run(3).promise;
      const request = {
        objective,
        translator,
        prior: { kind: "normal", dim: d },
        config: { start: "resample", kernel: "mala", steps: 3, minEss: 0, seed: BigInt(i) },
        conditions: c.slice(0, 4 * m),
        conditionCount: 4,
        streams: Uint32Array.of(0, 1, 2, 3),
        count: 50,
      } as const;
      await addon.sample(request).promise;
      const cancelled = addon.sample(
        { ...request, config: { ...request.config, steps: 100_000 }, every: 1, latents: true },
        () => cancelled.cancel(),
      );
      await cancelled.promise.catch((error) => assert.equal((error as { code: string }).code, "ERR_ABORTED"));
      trainer.dispose();
      translator.dispose();
      objective.dispose();
    }
    await cycle(0);
    const start = addon.counters();
    const [before, after] = await growth(200, cycle);
    noMore(start);
    assert.ok(after - before < 12, `${before.toFixed(1)} MB became ${after.toFixed(1)} MB`);
  });

  it("by objects nobody disposed of", async () => {
    await settle();
    const start = addon.counters();
    for (let i = 0; i < 30; i++) {
      await open(squaredDistance(8, 2));
      addon.createTranslator({ condition: 8, hidden: 32, latent: 16, components: 4 }, 1n);
    }
    for (let i = 0; i < 20 && addon.counters().sessions > start.sessions; i++) await settle();
    noMore(start);
  });
});
