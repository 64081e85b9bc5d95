/**
 * docs/large-systems.md run from end to end: BigGAN with its class embeddings, StyleGAN2 in w-space, NVAE with all of its groups,
 * R3GAN, and a one-step text-to-image generator for one text, each with a CLIP image tower and an augmented cosine energy, on the
 * files of scripts/large-systems/export.py. Their weights are random, so the images are noise: what it shows is that every part
 * fits, and that the energy falls.
 *
 *     python3 scripts/large-systems/export.py .cache/large-systems --small
 *     npx tsx examples/large-systems.ts .cache/large-systems
 */
import { readFileSync } from "node:fs";
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
  tensor,
  Tr0n,
  writeImages,
  type Latent,
  type Model,
  type Samples,
  type TrainOptions,
  type Tr0nOptions,
} from "../lib/index.js";

/** The models of a system. */
export interface Parts {
  generator: Model;
  /** StyleGAN's z → w. */
  mapping?: Model;
  /** BigGAN's class embeddings, one a row. */
  classes?: number[][];
}

/** What differs from system to system: the paper's settings. */
interface System {
  latent: (parts: Parts) => Latent;
  translator?: Tr0nOptions["translator"];
  train?: TrainOptions;
  learningRate: number;
  noise: number;
}

/** Numbers of one row of an input. */
function size(model: Model, input: number): number {
  return model.inputs[input]!.shape.slice(1).reduce<number>((product, side) => product * side!, 1);
}

export const systems: Record<string, System> = {
  // z is truncated at 2, within which component means and chains stay, too. The class embedding has a head of its own,
  // one vector a chain, which the hybrid sampler moves by Adam.
  biggan: {
    latent: ({ generator, classes }) =>
      latent.product({
        z: latent.truncatedNormal(size(generator, 0), 2),
        y: latent.table(tensor(classes!.flat(), [classes!.length, classes![0]!.length])),
      }),
    translator: { auxiliary: "y" },
    train: { preset: "official" },
    learningRate: 5,
    noise: 0.5,
  },
  // Translator and chains work in w, which goes into every layer. Its scale is not known beforehand.
  stylegan2: {
    latent: ({ mapping }) => latent.mapped(mapping!, latent.normal(size(mapping!, 0))),
    train: { calibrate: true },
    learningRate: 0.1,
    noise: 0.2,
  },
  // Temperature 0.6, as for FFHQ, in all groups.
  nvae: {
    latent: ({ generator }) =>
      latent.hierarchical(
        Object.fromEntries(generator.inputs.map(({ name }, i) => [name, size(generator, i)])),
        {
          temperature: 0.6,
        },
      ),
    learningRate: 0.1,
    noise: 0.2,
  },
  r3gan: {
    latent: ({ generator }) => latent.normal(size(generator, 0)),
    train: { calibrate: true },
    learningRate: 0.1,
    noise: 0.2,
  },
  // Its noise is the latent; text and time are fixed in the model (openSystem). The translator's means are of low rank, as z is large.
  turbo: {
    latent: ({ generator }) => latent.normal(size(generator, 0)),
    translator: { rank: 8 },
    train: { calibrate: true },
    learningRate: 0.1,
    noise: 0.2,
  },
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

/** The models of a folder that scripts/large-systems/export.py wrote. */
export async function openSystem(name: string, folder: string): Promise<Parts> {
  const rows = (file: string): number[][] =>
    JSON.parse(readFileSync(join(folder, file), "utf8")) as number[][];
  if (name === "turbo") {
    const text = rows("turbo-text.json");
    const fixed = { text: tensor(text.flat(), [1, text.length, text[0]!.length]), timestep: 999 };
    return { generator: await loadModel(join(folder, "turbo.onnx"), { inputs: fixed }) };
  }
  const generator = await loadModel(join(folder, `${name}.onnx`));
  if (name === "stylegan2")
    return { generator, mapping: await loadModel(join(folder, `${name}-mapping.onnx`)) };
  if (name !== "biggan") return { generator };
  return { generator, classes: rows(`${name}-classes.json`) };
}

/** Trains a translator and samples for one condition, as one would for the embedding of a text. */
export async function runSystem(
  name: string,
  parts: Parts,
  encoder: Model,
  o: RunOptions,
): Promise<{ start: Samples; samples: Samples }> {
  const system = systems[name]!;
  using tr0n = await Tr0n.create({
    generator: parts.generator,
    encoder,
    latent: system.latent(parts),
    generatorRange: [-1, 1],
    energy: energy.cosine(),
    preprocess: [stage.clip({ size: encoder.inputs[0]!.shape[3]! })],
    augment: augmentation.policy({ copies: o.copies }),
    translator: {
      conditionNoise: { kind: "isotropic", scale: system.noise },
      hidden: 256,
      components: 4,
      ...system.translator,
    },
    seed: 1,
  });
  await tr0n.train({ pairs: o.pairs, epochs: 2, batchSize: 16, ...system.train });
  // In place of a text's embedding: that of an image which the generator can make.
  const target = await tr0n.encode(await tr0n.drawPrior(1, { seed: 7 }));
  const sample = (steps: number): Promise<Samples> =>
    tr0n.sample(
      { embedding: target },
      {
        count: o.count,
        seed: 3,
        sampler: sampler.hybrid({ learningRate: o.learningRate ?? system.learningRate, noise: o.stepNoise }),
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
    const parts = await openSystem(name, folder);
    const o = { pairs: 64, copies: 2, steps: 5, count: 2 };
    const { start, samples } = await runSystem(name, parts, encoder, o);
    for (const model of [parts.generator, parts.mapping]) model?.[Symbol.dispose]();
    const out = join(folder, `${name}.png`);
    await writeImages(out, samples.images);
    const mean = (values: Float32Array): string =>
      (values.reduce((sum, value) => sum + value, 0) / values.length).toFixed(3);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(
      `${name}: ${samples.latents.shape.slice(1).join(" × ")} latents, energy ${mean(start.energies)} → ${mean(samples.energies)} in ` +
        `${o.steps} steps, ${seconds} s in all, ${out}`,
    );
  }
}

if (argv[1] !== undefined && import.meta.url === pathToFileURL(argv[1]).href) await main(argv[2]);
