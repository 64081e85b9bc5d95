/** docs/large-systems.md on the narrow networks of the fixtures: StyleGAN2 and NVAE with a CLIP tower. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { runSystem } from "../../examples/large-systems.js";
import { loadModel } from "../../lib/index.js";

const file = (name: string): string =>
  fileURLToPath(new URL(`../fixtures/architectures/${name}.onnx`, import.meta.url));

describe("large systems", function () {
  this.timeout(180_000);
  // Random weights leave CLIP almost nothing to say: NVAE's gradients are tiny, and the paper's noise would drown them.
  for (const [name, learningRate] of [
    ["stylegan2", 0.1],
    ["nvae", 1000],
  ] as const)
    it(`${name} with CLIP and an augmented cosine energy`, async () => {
      using generator = await loadModel(file(name));
      using encoder = await loadModel(file("clip_vit"));
      const o = { pairs: 64, copies: 8, steps: 20, count: 2, learningRate, stepNoise: 0 };
      const { start, samples } = await runSystem(name, generator, encoder, o);
      for (let i = 0; i < o.count; i++)
        assert.ok(
          samples.energies[i]! < start.energies[i]!,
          `chain ${i}: ${start.energies[i]} → ${samples.energies[i]}`,
        );
      assert.deepEqual(samples.images.shape.slice(0, 2), [2, 3]);
    });
});
