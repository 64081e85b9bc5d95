import assert from "node:assert/strict";
import { energy, latent, loadModel, sampler, tensor, Tr0n } from "../../lib/index.js";
import { featureStatistics, frechetDistance, meanPairwiseDistance } from "../../lib/evaluate/frechet.js";
import { leastHold } from "../support/event-loop.js";
import { numbers } from "../support/numbers.js";
import { tinyEncoder, tinyGenerator } from "../support/tiny.js";

/** Milliseconds of the main thread's own work: what is left of it, and garbage collection on a busy machine. */
const bound = 60;

async function held<T>(what: string, body: () => Promise<T>): Promise<T> {
  const { result, hold } = await leastHold(bound, body);
  assert.ok(hold < bound, `held for ${hold.toFixed(0)} ms by ${what}`);
  return result;
}

describe("the event loop is not held by many rows", function () {
  this.timeout(400_000);

  it("of conditions", async () => {
    using generator = await loadModel(tinyGenerator());
    using encoder = await loadModel(tinyEncoder({ classes: 512 }));
    using tr0n = await Tr0n.create({
      generator,
      encoder,
      latent: latent.normal(6),
      energy: energy.squaredError(),
      encoderKind: "embedding",
      device: "cpu",
      seed: 1,
    });
    const n = 5000;
    const embedding = tensor(numbers(1, n * 512), [n, 512]);
    await tr0n.sample({ embedding }, { seed: 1, sampler: sampler.direct({ start: "prior" }) });
    await held("sample()", () =>
      tr0n.sample({ embedding }, { seed: 1, sampler: sampler.direct({ start: "prior" }) }),
    );
  });

  it("of a table", async () => {
    using generator = await loadModel(tinyGenerator({ latent: [64] }));
    using encoder = await loadModel(tinyEncoder());
    const n = 60_000;
    const table = latent.table(tensor(numbers(2, n * 64), [n, 64]));
    const options = { generator, encoder, latent: table, device: "cpu" as const, seed: 1 };
    using tr0n = await held("create()", () => Tr0n.create({ ...options, encoderKind: "logits" }));
    await held("drawPrior()", () => tr0n.drawPrior(n, { seed: 1 }));
  });

  it("of features", async () => {
    const [n, d] = [600, 256];
    const rows = (seed: number) => ({ data: numbers(seed, n * d), n, d });
    await held("the Fréchet distance", async () =>
      frechetDistance(await featureStatistics(rows(3)), await featureStatistics(rows(4))),
    );
    await held("mean distances", () => meanPairwiseDistance(rows(5)));
  });
});
