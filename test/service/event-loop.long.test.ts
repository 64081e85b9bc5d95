import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { differentiateModel, loadModel, sampler, Tr0n } from "../../lib/index.js";
import { native } from "../../lib/native/binding.js";
import { demo } from "../support/demo.js";
import { leastHold } from "../support/event-loop.js";
import { cellDecoder, smallClassifier } from "../support/heavy.js";

const idle = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

describe("in a service", function () {
  this.timeout(400_000);
  let tr0n: Tr0n;
  before(async () => {
    tr0n = await demo();
    await tr0n.train({ pairs: 2000, epochs: 1 });
  });
  after(() => tr0n[Symbol.dispose]());

  it("keeps turning the event loop while chains run", async () => {
    let turns = 0;
    const ticker = setInterval(() => turns++, 5);
    const start = performance.now();
    await tr0n.sample({ class: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] }, { count: 20, steps: 10, seed: 1 });
    const elapsed = performance.now() - start;
    clearInterval(ticker);
    assert.ok(elapsed > 100, "the run must be long enough to say something");
    // A blocked loop would give one or two turns in all.
    assert.ok(turns > elapsed / 100, `${turns} turns of a 5 ms timer in ${elapsed.toFixed(0)} ms`);
  });

  it("is not held by a model of few bytes and thousands of nodes", async () => {
    const model = cellDecoder(200);
    const { hold } = await leastHold(50, () => differentiateModel(model, { simplify: false }));
    assert.ok(hold < 50, `held for ${hold.toFixed(0)} ms by differentiateModel()`);
    const sources = [cellDecoder(60), smallClassifier(8)] as const;
    const opened = await leastHold(50, async () => {
      using generator = await loadModel(sources[0]);
      using encoder = await loadModel(sources[1]);
      using large = await Tr0n.create({ generator, encoder, seed: 1 });
      await large.encode(await large.drawPrior(2, { seed: 1 }));
      await large.objective.native(true);
    });
    assert.ok(opened.hold < 50, `held for ${opened.hold.toFixed(0)} ms by opening`);
  });

  it("leaves libuv's thread pool to others: more jobs than it has threads, and files are still read", async () => {
    const abort = new AbortController();
    const jobs = Array.from({ length: 6 }, (_, seed) =>
      tr0n.sample({ class: 3 }, { count: 4, steps: 100_000, seed, signal: abort.signal }),
    );
    const settled = Promise.allSettled(jobs);
    await idle(100);
    for (let i = 0; i < 8; i++)
      assert.ok((await readFile(fileURLToPath(import.meta.url))).length > 0, "a file is read");
    abort.abort(new Error("enough"));
    for (const result of await settled) {
      assert.equal(result.status, "rejected");
      assert.equal((result as PromiseRejectedResult).reason.code, "ERR_ABORTED");
      assert.equal((result as PromiseRejectedResult).reason.cause.message, "enough");
    }
    await idle(50);
    assert.equal(native().counters().jobs, 0);
  });

  it("aborts within one step and gives the memory back", async () => {
    const abort = new AbortController();
    let last = 0;
    const run = tr0n.sample(
      { class: 5 },
      {
        count: 200,
        seed: 1,
        sampler: sampler.mala({ steps: 10_000 }),
        signal: abort.signal,
        onProgress: (p) => {
          last = p.step;
          if (p.step >= 2) abort.abort();
        },
      },
    );
    await assert.rejects(run, { code: "ERR_ABORTED" });
    assert.ok(last >= 2 && last < 100, `stopped at step ${last}`);
  });
});
