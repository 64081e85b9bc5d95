import { checkWritable, writeFileAtomic } from "../atomic-write.js";
import type { Condition } from "../condition.js";
import { encodeImage } from "../encode-image.js";
import { gridLayout, writeImages, type GridOptions } from "../image.js";
import { encodeSafetensors } from "../safetensors.js";
import { Tr0n, type Samples } from "../tr0n.js";
import type { Arguments } from "./arguments.js";
import type { Command } from "./command.js";
import { UsageError } from "./errors.js";
import { readEmbedding } from "./files.js";
import {
  augmentOptions,
  deviceOptions,
  modelOptions,
  readAugment,
  readDevice,
  withModels,
} from "./models.js";
import { readSampler, samplerOptions } from "./samplers.js";

export const sampleCommand: Command = {
  name: "sample",
  summary: "Draws images that obey a condition and writes them as one PNG.",
  usage:
    "--translator T --generator G --encoder F (--class 7 | --image x.png | --embedding e.json) -o out.png",
  options: {
    translator: { type: "string", value: "FILE", help: "what `tr0n train` wrote", required: true },
    ...modelOptions,
    class: { type: "string", value: "LIST", help: "classes: 7, 0,1,2 or 0-9; a row of the picture each" },
    image: { type: "string", value: "FILE", help: "samples like this image, as the encoder sees it" },
    embedding: { type: "string", value: "FILE", help: "JSON: the encoder's numbers, one list or several" },
    text: { type: "string", value: "TEXT", help: "not in this version" },
    out: { type: "string", short: "o", value: "FILE", help: "the picture to write, .png", required: true },
    latents: { type: "string", value: "FILE", help: "also write latents and energies, .safetensors" },
    count: { type: "string", short: "n", value: "N", help: "samples a condition (default 16)" },
    ...samplerOptions,
    ...augmentOptions,
    ...deviceOptions,
    scale: { type: "string", value: "N", help: "enlarge every pixel to N × N (default 1)" },
    seed: { type: "string", value: "N", help: "decides everything random (default: random)" },
  },
  run: async (args, context) => {
    const read = readCondition(args);
    const out = args.required("out");
    const options = {
      count: args.integer("count", 1) ?? 16,
      sampler: readSampler(args),
      seed: args.integer("seed", 0),
      signal: context.signal,
      onProgress: ({ step, steps }: { step: number; steps: number }) =>
        context.progress.update("sampling", step, steps),
    };
    const augment = readAugment(args);
    const place = readDevice(args);
    const scale = args.integer("scale", 1, 64) ?? 1;
    const latents = args.text("latents");
    let layout: GridOptions = {};
    for (const path of latents === undefined ? [out] : [out, latents]) await checkWritable(path);
    const started = performance.now();
    const { device, samples } = await withModels(args, context, async (models) => {
      const given = { ...models, ...place, augment, signal: context.signal };
      const tr0n = await Tr0n.load(args.required("translator"), given);
      try {
        const condition = await read(tr0n, context.signal);
        const conditions = conditionCount(condition);
        layout = { columns: conditions > 1 ? options.count : Math.ceil(Math.sqrt(options.count)), scale };
        gridLayout([conditions * options.count, ...tr0n.imageShape], layout); // before the work
        return { device: tr0n.device, samples: await tr0n.sample(condition, options) };
      } finally {
        tr0n.dispose();
      }
    });
    const seconds = (performance.now() - started) / 1000;
    if (latents !== undefined) await writeFileAtomic(latents, encode(samples), { signal: context.signal });
    await writeImages(out, samples.images, { ...layout, signal: context.signal });
    return {
      json: {
        file: out,
        ...(latents === undefined ? {} : { latents }),
        device,
        conditions: samples.ess.length,
        count: options.count,
        seed: samples.seed,
        seconds,
        energies: [...samples.energies],
        ess: finite(samples.ess),
        candidates: [...samples.candidates],
        acceptance: finite(samples.acceptance),
        evaluations: samples.evaluations,
        warnings: samples.warnings,
      },
      text: [
        `${out}: ${samples.energies.length} samples, seed ${samples.seed}, ${seconds.toFixed(1)} s on ${device}`,
        ...samples.warnings.map((warning) => `warning: ${warning}`),
      ].join("\n"),
    };
  },
};

type ReadCondition = (tr0n: Tr0n, signal: AbortSignal) => Promise<Condition>;

/** Exactly one of the four. @throws UsageError */
function readCondition(args: Arguments): ReadCondition {
  if (args.has("text"))
    throw new UsageError(
      "--text: needs a text encoder, which this version does not have; give --class, --image or --embedding",
      args.command,
    );
  const given = ["class", "image", "embedding"].filter((name) => args.has(name));
  if (given.length !== 1)
    throw new UsageError(
      `expected one of --class, --image and --embedding, got ${given.map((name) => `--${name}`).join(" and ") || "none"}`,
      args.command,
    );
  const classes = args.classes("class");
  if (classes) return async () => ({ class: classes });
  const image = args.text("image");
  if (image !== undefined) return (tr0n, signal) => encodeImage(tr0n, image, signal);
  return async () => ({ embedding: await readEmbedding(args.required("embedding")) });
}

function conditionCount(condition: Condition): number {
  if ("class" in condition) return [condition.class].flat().length;
  const { shape } = "embedding" in condition ? condition.embedding : condition;
  return shape.length === 2 ? shape[0]! : 1;
}

function encode(samples: Samples): Uint8Array {
  const energies = { data: samples.energies, shape: [samples.energies.length] };
  return encodeSafetensors(
    new Map([
      ["latents", samples.latents],
      ["energies", energies],
    ]),
  );
}

/** JSON has no NaN: null stands for what the sampler does not have. */
function finite(values: Float32Array): (number | null)[] {
  return Array.from(values, (value) => (Number.isFinite(value) ? value : null));
}
