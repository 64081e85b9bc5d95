/**
 * `npm run demo -- --text`: the same frozen generator obeys sentences, through a text encoder that has never seen an
 * image of it. Attribute classifiers that nothing else uses judge the samples. Writes text.png and report.json.
 */
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { writeFileAtomic } from "../lib/base/atomic-write.js";
import type { Progress } from "../lib/cli/progress.js";
import { argmax } from "../lib/evaluate/exact.js";
import { encodePng } from "../lib/base/image.js";
import {
  Tr0n,
  energy,
  loadModel,
  loadTokenizer,
  sampler,
  textEncoder,
  type Device,
  type Model,
  type Tensor,
} from "../lib/index.js";
import { textTable } from "../lib/base/text-table.js";
import { attributeNames, attributes, isHeldOut, wantedBy, type HeldOut, type Wanted } from "./prompts.js";
import { sheet } from "./sheet.js";

export interface TextDemoOptions {
  prompts: readonly string[];
  generator: string;
  /** Of the models' files: "onnx" or "pt". */
  extension: string;
  out: string;
  seed: number;
  device: Device;
  json: boolean;
  /** The path of a file in models/. */
  file: (name: string) => string;
  say: (text: string) => void;
  progress: Progress;
  signal: AbortSignal;
}

/** Samples a prompt: judged, and shown. */
const count = 16;
const pairs = 20_000;
/** Prior draws that say whether the generator draws what a prompt asks for, and how many at a time. */
const priorDraws = 20_000;
const block = 2000;
/**
 * Fidelity in units of the text model's inverse temperature s, at which exp(s·cos) is its p(caption | image). 1 asks for
 * the posterior, in which captions share images that lie between them; 5 is enough for clear cases and keeps variety.
 */
const strictness = 5;

export async function textDemo(o: TextDemoOptions): Promise<void> {
  const started = performance.now();
  const { prompts, signal, say, progress } = o;
  const manifest = JSON.parse(await readFile(o.file("manifest.json"), "utf8")) as {
    name: string;
    metrics: { inverse_temperature: number; held_out: HeldOut };
  }[];
  const { inverse_temperature, held_out } = manifest.find(({ name }) => name === "text-encoder")!.metrics;
  const wanted = prompts.map(wantedBy);
  const heldOut = wanted.map((w) => isHeldOut(w, held_out));

  const tokenizer = await loadTokenizer(o.file("text-tokenizer.json"));
  const open = (name: string): Promise<Model> => loadModel(o.file(`${name}.${o.extension}`));
  const generator = await open(o.generator);
  const encoder = await open("image-encoder");
  const judge = await open("attribute-classifier");
  // TorchScript does not tell the shapes of its inputs.
  const texts = await loadModel(
    o.file(`text-encoder.${o.extension}`),
    o.extension === "pt" ? { inputShapes: { tokens: [null, tokenizer.length] } } : {},
  );
  const encode = textEncoder({ model: texts, tokenizer });
  await encode([...prompts]); // a word that it does not know is an error now, not after the training
  say(`Frozen models: ${o.generator} draws digits at random; an image and a text encoder share a space.`);

  const tr0n = await Tr0n.create({
    generator,
    encoder,
    energy: energy.cosine(),
    textEncoder: encode,
    seed: o.seed,
    device: o.device,
  });
  const training = await tr0n.train({
    pairs,
    signal,
    onProgress: (p) => progress.update(`Translator, ${p.phase}`, p.done, p.total),
  });
  say(
    `Translator: ${pairs} pairs of latents and image embeddings, no text, ${training.seconds.toFixed(1)} s.`,
  );

  const frequency = await priorFrequency(tr0n, judge, wanted, o);
  for (const [i, prompt] of prompts.entries())
    if (frequency[i] === 0)
      say(
        `"${prompt}": ${o.generator} draws this in 0 of ${priorDraws} samples of its prior. A frozen generator ` +
          "cannot be made to draw what it does not know: expect the nearest that it has.",
      );

  const fidelity = strictness * inverse_temperature;
  const options = { count, seed: o.seed, signal };
  const drafts = await tr0n.sample({ text: [...prompts] }, { ...options, sampler: sampler.direct() });
  const sampling = performance.now();
  const samples = await tr0n.sample(
    { text: [...prompts] },
    {
      ...options,
      sampler: sampler.resample({ fidelity }),
      onProgress: ({ step, steps }) => progress.update("Sampling", step, steps),
    },
  );
  const seconds = (performance.now() - sampling) / 1000;
  const png = join(o.out, "text.png");
  const groups = [
    { title: "Translator only", images: firstOfEach(drafts.images, 4) },
    { title: "After sampling", images: samples.images },
  ];
  await writeFileAtomic(png, await encodePng(sheet(groups, prompts, 2, 2)), { signal });

  const judged = await choices(judge, samples.images);
  const rows = prompts.map((prompt, i) => {
    const own = judged.slice(i * count, (i + 1) * count);
    const share = (right: (choice: Choice) => boolean): number => own.filter(right).length / count;
    const named = attributeNames.filter((kind) => wanted[i]![kind] !== undefined);
    return {
      prompt,
      heldOut: heldOut[i]!,
      priorFrequency: frequency[i]!,
      right: Object.fromEntries(named.map((kind) => [kind, share((c) => c[kind] === wanted[i]![kind])])),
      digitAndColours: share((c) =>
        named.every((kind) => kind === "thickness" || c[kind] === wanted[i]![kind]),
      ),
      everything: share((c) => named.every((kind) => c[kind] === wanted[i]![kind])),
      ess: samples.ess[i]!,
    };
  });
  const mean = (part: typeof rows): number | null =>
    part.length === 0 ? null : part.reduce((sum, row) => sum + row.digitAndColours, 0) / part.length;
  const report = {
    generator: o.generator,
    format: o.extension === "pt" ? "torchscript" : "onnx",
    seed: o.seed,
    threads: availableParallelism(),
    seconds: (performance.now() - started) / 1000,
    fidelity,
    samplesPerPrompt: count,
    priorDraws,
    samplingSeconds: seconds,
    evaluations: samples.evaluations,
    training,
    digitAndColours: {
      all: mean(rows),
      taught: mean(rows.filter((row) => !row.heldOut)),
      heldOut: mean(rows.filter((row) => row.heldOut)),
    },
    prompts: rows,
  };
  const path = join(o.out, "report.json");
  await writeFileAtomic(path, `${JSON.stringify(report, null, 2)}\n`, { signal });
  say("Measured.");
  const percent = (share: number | null | undefined): string =>
    share === null || share === undefined ? "" : `${(100 * share).toFixed(0)} %`;
  const table = textTable(
    ["prompt", "training", "prior", ...attributeNames, "digit + colours"],
    rows.map((row) => [
      row.prompt,
      row.heldOut ? "held out" : "taught",
      row.priorFrequency === 0 ? `0 of ${priorDraws}` : `1 in ${Math.round(1 / row.priorFrequency)}`,
      ...attributeNames.map((kind) => percent(row.right[kind])),
      percent(row.digitAndColours),
    ]),
  );
  const { all, taught, heldOut: unseen } = report.digitAndColours;
  const summary = `Right in digit and colours: ${percent(all)} of samples${taught !== null && unseen !== null ? ` (taught ${percent(taught)}, held out ${percent(unseen)})` : ""}, ${seconds.toFixed(1)} s for ${rows.length * count}.`;
  if (o.json) console.log(JSON.stringify(report, null, 2));
  else console.log(`\n${table}\n\n${summary}\n\nPicture: ${png}\nReport:  ${path}`);
  for (const item of [tr0n, generator, encoder, judge, texts]) item.dispose();
}

/** The class of each attribute that the judge finds in an image. */
type Choice = Record<(typeof attributeNames)[number], number>;

async function choices(judge: Model, images: Tensor): Promise<Choice[]> {
  // TorchScript has the outputs in the order of the attributes, under names of its own.
  const scores = Object.values(await judge.run(images));
  return Array.from(
    { length: images.shape[0]! },
    (_, row) =>
      Object.fromEntries(
        attributeNames.map((kind, i) => {
          const classes = attributes[kind].length;
          return [kind, argmax(scores[i]!.data.subarray(row * classes, (row + 1) * classes))];
        }),
      ) as Choice,
  );
}

/** The share of prior samples that have what each prompt names, thickness apart, which is the vaguest. */
async function priorFrequency(
  tr0n: Tr0n,
  judge: Model,
  wanted: readonly Wanted[],
  { seed, signal, progress }: TextDemoOptions,
): Promise<number[]> {
  const hits = wanted.map(() => 0);
  for (let first = 0; first < priorDraws; first += block) {
    progress.update("Prior", first, priorDraws);
    const latents = await tr0n.drawPrior(block, { seed, first, signal });
    for (const choice of await choices(judge, await tr0n.generate(latents, { signal })))
      wanted.forEach((w, i) => {
        if (
          attributeNames.every(
            (kind) => kind === "thickness" || w[kind] === undefined || w[kind] === choice[kind],
          )
        )
          hits[i]!++;
      });
  }
  return hits.map((n) => n / priorDraws);
}

/** The first `few` of each prompt's images. */
function firstOfEach({ data, shape }: Tensor, few: number): Tensor {
  const size = data.length / shape[0]!;
  const prompts = shape[0]! / count;
  const kept = new Float32Array(prompts * few * size);
  for (let p = 0; p < prompts; p++)
    kept.set(data.subarray(p * count * size, (p * count + few) * size), p * few * size);
  return { data: kept, shape: [prompts * few, ...shape.slice(1)] };
}
