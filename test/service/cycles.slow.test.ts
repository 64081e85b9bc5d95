/** Hundreds of short lives in one process. */
import assert from "node:assert/strict";
import { setTimeout as idle } from "node:timers/promises";
import { native } from "../../lib/native/binding.js";
import { demo } from "../support/demo.js";

describe("a process that makes many a Tr0n", function () {
  this.timeout(400_000);

  it("lives through 200 create, train, sample, dispose cycles with flat memory", async () => {
    const cycle = async (seed: number) => {
      using t = await demo("gan", { seed });
      await t.train({ pairs: 256, epochs: 1, batchSize: 64 });
      await t.sample({ class: seed % 10 }, { count: 2, steps: 1, seed });
    };
    const settle = async () => {
      for (let i = 0; i < 3; i++) {
        globalThis.gc?.();
        await idle(10);
      }
      native().trim();
      return process.memoryUsage().rss / 2 ** 20;
    };
    const before = native().counters();
    for (let i = 0; i < 40; i++) await cycle(i);
    const early = await settle();
    for (let i = 40; i < 200; i++) await cycle(i);
    const late = await settle();
    // Models the test itself loaded are collected, not disposed: only what a Tr0n owns must be back at once.
    const after = native().counters();
    assert.equal(after.translators, before.translators);
    assert.equal(after.trainers, before.trainers);
    assert.equal(after.objectives, before.objectives);
    assert.equal(after.rowMaps, before.rowMaps);
    assert.ok(late - early < 40, `resident memory grew from ${early.toFixed(0)} to ${late.toFixed(0)} MiB`);
  });
});
