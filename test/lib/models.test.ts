/** The demo's own models from end to end. Tiny models cannot show what convolutions do. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { loadModel, sampler, tensor, Tr0n, type Model } from "../../lib/index.js";
import { native } from "../../lib/native/binding.js";
import { bits } from "../support/tiny.js";

const file = (name: string): string => fileURLToPath(new URL(`../../models/${name}.onnx`, import.meta.url));

for (const [name, d] of [
  ["gan-generator", 64],
  ["vae-decoder", 32],
] as const)
  describe(`with ${name} and the classifier`, () => {
    let generator: Model;
    let encoder: Model;
    let tr0n: Tr0n;
    before(async () => {
      [generator, encoder] = await Promise.all([loadModel(file(name)), loadModel(file("classifier"))]);
      tr0n = await Tr0n.create({ generator, encoder, seed: 1 });
      await tr0n.train({ pairs: 1500, epochs: 4, batchSize: 64 });
    });
    after(() => {
      for (const item of [tr0n, generator, encoder]) item?.[Symbol.dispose]();
    });

    it("knows its sizes and its energy", () => {
      assert.deepEqual(
        [tr0n.latentSize, tr0n.imageShape, tr0n.conditionSize, tr0n.energy.kind],
        [d, [3, 32, 32], 10, "crossEntropy"],
      );
    });

    it("has the gradient that finite differences find along random directions", async () => {
      const objective = await tr0n.objective.native(true);
      const n = 4;
      const z = (await tr0n.drawPrior(n, { seed: 2 })).data;
      const c = new Float32Array(n * 10);
      for (let i = 0; i < n; i++) c[i * 10 + 2 * i] = 1;
      const { gradients } = await objective.evaluate(z, c, n).promise;
      const h = 3e-4; // small: the networks are piecewise, and a step across a kink says nothing
      const errors: number[] = [];
      for (let seed = 3; seed < 9; seed++) {
        const direction = (await tr0n.drawPrior(n, { seed })).data;
        const energy = (s: number) =>
          objective.energy(
            z.map((x, i) => x + s * h * direction[i]!),
            c,
            n,
          ).promise;
        const [up, down] = [await energy(1), await energy(-1)];
        for (let i = 0; i < n; i++) {
          let slope = 0;
          for (let j = 0; j < d; j++) slope += gradients[i * d + j]! * direction[i * d + j]!;
          errors.push(Math.abs((up[i]! - down[i]!) / (2 * h) - slope) / (Math.abs(slope) + 0.5));
        }
      }
      errors.sort((a, b) => a - b);
      assert.ok(errors[errors.length / 2]! < 0.03, `median relative error ${errors[errors.length / 2]}`);
      assert.ok(errors.at(-1)! < 0.3, `largest relative error ${errors.at(-1)}`);
    });

    it("gives a chain the same bits alone and among others, on one thread and on several", async () => {
      const options = { seed: 4, sampler: sampler.resample({ candidates: 4, maxCandidates: 8, steps: 2 }) };
      const whole = await tr0n.sample({ class: [3, 7, 1] }, { count: 13, ...options });
      const alone = await tr0n.sample({ class: 7 }, { count: 3, ...options });
      assert.equal(bits(alone.latents.data), bits(whole.latents.data.slice(13 * d, 16 * d)));
      assert.equal(bits(alone.images.data), bits(whole.images.data.slice(13 * 3072, 16 * 3072)));
      assert.equal(bits(alone.energies), bits(whole.energies.slice(13, 16)));
      const threads = native().threads();
      try {
        native().setThreads(threads === 1 ? 3 : 1);
        assert.equal(
          bits((await tr0n.sample({ class: 7 }, { count: 3, ...options })).images.data),
          bits(alone.images.data),
        );
      } finally {
        native().setThreads(threads);
      }
    });

    it("obeys classes, faithfully where it is told to", async () => {
      const hits = async (fidelity: number): Promise<number> => {
        const chosen = sampler.resample({ fidelity, steps: 4, maxCandidates: 64 });
        const { latents } = await tr0n.sample({ class: [0, 4, 8] }, { count: 8, seed: 5, sampler: chosen });
        const p = (await tr0n.encode(latents)).data;
        let mass = 0;
        for (let i = 0; i < 24; i++) mass += p[i * 10 + 4 * Math.floor(i / 8)]!;
        return mass / 24;
      };
      assert.ok((await hits(1)) > 0.4, "the prior gives 0.1");
      assert.ok((await hits(10)) > 0.8);
    });

    it("works on a class distribution, between classes", async () => {
      const both = new Float32Array(10);
      both[1] = both[7] = 0.5;
      const { energies } = await tr0n.sample(tensor(both, [10]), {
        count: 2,
        seed: 1,
        sampler: sampler.resample({ steps: 0, maxCandidates: 16 }),
      });
      assert.ok(
        energies.every((e) => e >= Math.log(2) - 1e-4),
        "cross-entropy is at least the target's entropy",
      );
    });
  });
