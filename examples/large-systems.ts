/**
 * docs/large-systems.md run from end to end: BigGAN, StyleGAN2 and NVAE, each with a CLIP image tower and an augmented cosine
 * energy, on the files of scripts/large-systems/export.py. Their weights are random, so the images are noise: what it shows
 * is that every part fits, and that the energy falls.
 *
 *     python3 scripts/large-systems/export.py .cache/large-systems --small
 *     npx tsx examples/large-systems.ts .cache/large-systems
 */
import { join } from "node:path";
import { argv } from "node:process";
import { pathToFileURL } from "node:url";
import {
  augmentation,
  energy,
  latent,
  loadModel,
  sampler,
  stage,
  Tr0n,
  writeImages,
  type Latent,
  type Model,
  type Samples,
} from "../lib/index.js";

/** What differs from system to system: the paper's settings. */
export const systems: Record<
  string,
  { latent: (dim: number) => Latent; learningRate: number; noise: number }
> = {
  // A truncated normal of bound 2, within which component means and chains stay, too.
  biggan: { latent: (dim) => latent.truncatedNormal(dim, 2), learningRate: 5, noise: 0.5 },
  stylegan2: { latent: (dim) => latent.normal(dim), learningRate: 0.1, noise: 0.2 },
  // Temperature 0.6, as for FFHQ.
  nvae: { latent: (dim) => latent.normal(dim, { std: 0.6 }), learningRate: 0.1, noise: 0.2 },
};

export interface RunOptions {
  pairs: number;
  copies: number;
  steps: number;
  count: number;
  /** In place of the system's. */
  learningRate?: number;
  /** Of each step; default the paper's. */
  stepNoise?: number;
}

/** Trains a translator and samples for one condition, as one would for the embedding of a text. */
export async function runSystem(
  name: string,
  generator: Model,
  encoder: Model,
  o: RunOptions,
): Promise<{ start: Samples; samples: Samples }> {
  const { latent: prior, learningRate, noise } = systems[name]!;
  const dim = generator.inputs[0]!.shape.slice(1).reduce<number>((product, size) => product * size!, 1);
  const size = encoder.inputs[0]!.shape[3]!;
  using tr0n = await Tr0n.create({
    generator,
    encoder,
    latent: prior(dim),
    energy: energy.cosine(),
    preprocess: [stage.clip({ size })],
    augment: augmentation.policy({ copies: o.copies }),
    translator: { conditionNoise: { kind: "isotropic", scale: noise }, hidden: 256, components: 4 },
    seed: 1,
  });
  await tr0n.train({ pairs: o.pairs, epochs: 2, batchSize: 16 });
  // In place of a text's embedding: that of an image which the generator can make.
  const target = await tr0n.encode(await tr0n.drawPrior(1, { seed: 7 }));
  const sample = (steps: number): Promise<Samples> =>
    tr0n.sample(
      { embedding: target },
      {
        count: o.count,
        seed: 3,
        sampler: sampler.hybrid({ learningRate: o.learningRate ?? learningRate, noise: o.stepNoise }),
        steps,
      },
    );
  return { start: await sample(0), samples: await sample(o.steps) };
}

async function main(folder: string | undefined): Promise<void> {
  if (folder === undefined) throw new Error("expected the folder that scripts/large-systems/export.py wrote");
  using encoder = await loadModel(join(folder, "clip_vit.onnx"));
  for (const name of Object.keys(systems)) {
    const started = performance.now();
    using generator = await loadModel(join(folder, `${name}.onnx`));
    const o = { pairs: 64, copies: 2, steps: 5, count: 2 };
    const { start, samples } = await runSystem(name, generator, encoder, o);
    const out = join(folder, `${name}.png`);
    await writeImages(out, samples.images);
    const mean = (values: Float32Array): string =>
      (values.reduce((sum, value) => sum + value, 0) / values.length).toFixed(3);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(
      `${name}: energy ${mean(start.energies)} → ${mean(samples.energies)} in ${o.steps} steps, ${seconds} s in all, ${out}`,
    );
  }
}

if (argv[1] !== undefined && import.meta.url === pathToFileURL(argv[1]).href) await main(argv[2]);
