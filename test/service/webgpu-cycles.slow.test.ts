/** What is opened on WebGPU is closed again: memory stays where it is. */
import assert from "node:assert/strict";
import { loadModel, Tr0n } from "../../lib/index.js";
import { native } from "../../lib/native/binding.js";
import { tinyEncoder, tinyGenerator } from "../support/tiny.js";
import { requireWebGpu } from "../support/webgpu.js";

describe("200 Tr0ns on WebGPU, one after the other", function () {
  this.timeout(600_000);
  before(async function () {
    await requireWebGpu(this);
  });

  it("leave nothing behind", async () => {
    const cycle = async (): Promise<void> => {
      using generator = await loadModel(tinyGenerator());
      using encoder = await loadModel(tinyEncoder({ scale: 2 }));
      using tr0n = await Tr0n.create({
        ...{ generator, encoder, device: "webgpu", maxBatch: 4, seed: 1 },
        onDecision: () => undefined,
      });
      await tr0n.generate(await tr0n.drawPrior(4, { seed: 1 }));
    };
    const settled = async (): Promise<number> => {
      for (let i = 0; i < 50; i++) {
        global.gc?.();
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      native().trim();
      return process.memoryUsage().rss;
    };
    for (let i = 0; i < 40; i++) await cycle();
    const before = await settled();
    // What earlier tests left behind may be collected at any time.
    const { sessions } = native().counters();
    for (let i = 0; i < 160; i++) await cycle();
    const grown = (await settled()) - before;
    assert.ok(native().counters().sessions <= sessions, "sessions are left open");
    assert.ok(grown < 48 << 20, `${(grown / 2 ** 20).toFixed(1)} MiB more after 160 cycles`);
  });
});
