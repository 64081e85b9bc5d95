/**
 * docs/large-systems.md on narrow networks (scripts/large-systems/export.py --small): BigGAN with class embeddings, StyleGAN2 in
 * w-space, hierarchical NVAE, R3GAN and a one-step generator for one text, with a CLIP tower.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { openSystem, runSystem } from "../../examples/large-systems.js";
import { loadModel } from "../../lib/index.js";
import { packageRoot } from "../../lib/native/binding.js";

describe("large systems", function () {
  this.timeout(180_000);
  const folder = join(packageRoot, "test", "fixtures", "large-systems");
  // Random weights leave CLIP almost nothing to say: NVAE's gradients are tiny, and the paper's noise would drown them.
  for (const [name, learningRate, shape] of [
    ["biggan", 5, [16 + 8]],
    ["stylegan2", 1, [16]],
    ["nvae", 1000, [2 * 4 * (16 + 64)]],
    ["r3gan", 1, [8]],
    ["turbo", 0.1, [4, 2, 2]],
  ] as const)
    it(`${name} with CLIP and an augmented cosine energy`, async () => {
      const parts = await openSystem(name, folder);
      using encoder = await loadModel(join(folder, "clip_vit.onnx"));
      const o = { pairs: 64, copies: 8, steps: 20, count: 2, learningRate, stepNoise: 0 };
      const { start, samples } = await runSystem(name, parts, encoder, o);
      for (const model of [parts.generator, parts.mapping]) model?.[Symbol.dispose]();
      for (let i = 0; i < o.count; i++)
        assert.ok(
          samples.energies[i]! < start.energies[i]!,
          `chain ${i}: ${start.energies[i]} → ${samples.energies[i]}`,
        );
      assert.deepEqual(samples.latents.shape, [2, ...shape]);
      assert.deepEqual(samples.images.shape.slice(0, 2), [2, 3]);
    });
});
