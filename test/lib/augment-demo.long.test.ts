/** The demo's GAN and classifier with augmented energies, from end to end. */
import assert from "node:assert/strict";
import { augmentation, sampler, type Samples, type Tr0n } from "../../lib/index.js";
import { demo } from "../support/demo.js";

describe("augment, with the demo's GAN", () => {
  let tr0n: Tr0n;
  before(async () => {
    tr0n = await demo("gan", { augment: augmentation.policy({ copies: 4 }) });
    await tr0n.train({ pairs: 3000, epochs: 4, batchSize: 64 });
  });
  after(() => tr0n?.dispose());

  const classes = Array.from({ length: 10 }, (_, k) => k);
  for (const [name, chosen] of Object.entries({
    resample: sampler.resample({ candidates: 8, maxCandidates: 8, fidelity: 10, steps: 4 }),
    langevin: sampler.langevin({ steps: 20 }),
    hybrid: sampler.hybrid({ steps: 40 }),
  }))
    it(`${name} obeys its classes`, async () => {
      const start = await tr0n.sample({ class: classes }, { count: 4, sampler: sampler.direct(), seed: 5 });
      const samples = await tr0n.sample({ class: classes }, { count: 4, sampler: chosen, seed: 5 });
      assert.deepEqual(samples.images.shape, [40, 3, 32, 32]);
      const mean = (x: Float32Array) => x.reduce((p, q) => p + q, 0) / x.length;
      assert.ok(
        mean(samples.energies) < 0.7 * mean(start.energies),
        `energy from ${mean(start.energies)} to ${mean(samples.energies)}`,
      );
      const right = async ({ latents }: Samples) => {
        const { data } = await tr0n.encode(latents); // of the image as it is
        const best = (i: number) => {
          const row = [...data.slice(i * 10, i * 10 + 10)];
          return row.indexOf(Math.max(...row));
        };
        return Array.from({ length: 40 }, (_, i) => best(i) === Math.floor(i / 4)).filter(Boolean).length;
      };
      const [before, after] = [await right(start), await right(samples)];
      assert.ok(
        after >= 20 && after >= before + 10,
        `${after} of 40 are what was asked for, ${before} at the start`,
      );
    });
});
