/**
 * Whether two checkouts compute the same, byte by byte: `npm run compare -- A [B]` (B is this checkout by default), each built.
 * Both train and sample through their own dist/ and addon with the same models, threads and seeds. A change that only moves
 * code changes no byte; where one changes numbers on purpose, the largest difference says by how much. A line a case; exit
 * code 1 if anything differs. `--seed-of-b N` changes B's seed, to see that a difference is found.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { deserialize, serialize } from "node:v8";
import type * as Library from "../lib/index.js";
import { flatEncoder, mappingModel, twoInputs } from "../test/support/latents.js";

const root = fileURLToPath(new URL("..", import.meta.url));
/** Sums over a batch are taken in another order with another number of threads. */
const threads = 2;

type Arrays = Record<string, Float32Array | Float64Array>;
type Results = Record<string, Arrays>;

async function measure(checkout: string, seed: number): Promise<Results> {
  const url = pathToFileURL(join(resolve(checkout), "dist", "index.js")).href;
  const { augmentation, energy, latent, loadModel, sampler, tensor, Tr0n } = (await import(
    url
  )) as typeof Library;

  const few = { candidates: 4, maxCandidates: 16 };
  const samplers: Record<string, Library.Sampler> = {
    resample: sampler.resample({ ...few, steps: 3 }),
    "resample, fidelity 10": sampler.resample({ ...few, fidelity: 10, steps: 2 }),
    "resample, 2 rounds": sampler.resample({ ...few, rounds: 2, steps: 1 }),
    "resample, pilot": sampler.resample({ ...few, steps: 2, adapt: "pilot", pilotSteps: 4 }),
    mala: sampler.mala({ steps: 4 }),
    "mala from the prior": sampler.mala({ start: "prior", steps: 4 }),
    langevin: sampler.langevin({ steps: 5 }),
    hybrid: sampler.hybrid({ steps: 5 }),
    direct: sampler.direct(),
  };

  const open = (source: string | Uint8Array): Promise<Library.Model> =>
    loadModel(typeof source === "string" ? join(root, "models", source) : source, { threads });
  const gan = await open("gan-generator.onnx");
  const vae = await open("vae-decoder.onnx");
  const classifier = await open("classifier.onnx");
  const images = await open("image-encoder.onnx");
  const groups = await open(twoInputs());
  const flat = await open(flatEncoder());
  const mapping = await open(mappingModel());

  const classes: Library.Condition = { class: [7, 2] };
  const size = images.outputs[0]!.shape!.at(-1)!;
  const embedding = (width: number): Library.Condition => ({
    embedding: tensor(
      Float32Array.from({ length: 2 * width }, (_, i) => Math.sin(i + 1) / Math.sqrt(width / 2)),
      [2, width],
    ),
  });
  const linear = { generator: groups, encoder: flat, energy: energy.squaredError() };
  const table = tensor(
    Float32Array.from({ length: 12 }, (_, i) => Math.cos(i)),
    [4, 3],
  );
  const product = latent.product({ z: latent.truncatedNormal(2, 2), y: latent.table(table) });
  const layers = latent.product({ z: latent.mapped(mapping, latent.normal(2)), y: latent.uniform(3, -1, 2) });

  const cases: Record<
    string,
    [Library.Tr0nOptions, Library.Condition, Library.TrainOptions?, (keyof typeof samplers)[]?]
  > = {
    "GAN, classifier": [{ generator: gan, encoder: classifier }, classes],
    "VAE, classifier": [{ generator: vae, encoder: classifier }, classes],
    "VAE, classifier, official preset, noise": [
      {
        generator: vae,
        encoder: classifier,
        translator: { conditionNoise: { kind: "adaptive", scale: 0.2 } },
      },
      classes,
      { preset: "official", pairs: 600 },
      ["resample", "langevin"],
    ],
    "GAN, classifier, augmented": [
      { generator: gan, encoder: classifier, augment: augmentation.policy({ copies: 2 }) },
      classes,
      { pairs: 600 },
      ["resample", "langevin"],
    ],
    "GAN, image encoder, cosine": [
      { generator: gan, encoder: images, energy: energy.cosine() },
      embedding(size),
    ],
    "GAN, image encoder, squared error, narrow batches": [
      { generator: gan, encoder: images, energy: energy.squaredError(), maxBatch: 3 },
      embedding(size),
      { pairs: 600 },
      ["resample", "mala"],
    ],
    "VAE, image encoder, sum with the prior, deterministic": [
      {
        generator: vae,
        encoder: images,
        energy: energy.sum(energy.cosine(), [energy.prior(0.5), 2]),
      },
      embedding(size),
      { pairs: 600, loss: "mse" },
      ["mala", "langevin", "direct"],
    ],
    "product with a table": [{ ...linear, latent: product }, embedding(3)],
    "product with a table, auxiliary head, covariance noise": [
      {
        ...linear,
        latent: product,
        translator: {
          auxiliary: "y",
          conditionNoise: { kind: "covariance", covariance: tensor([1, 0, 0, 0, 2, 0.5, 0, 0.5, 1], [3, 3]) },
        },
      },
      embedding(3),
    ],
    "product with a mapped group": [{ ...linear, latent: layers }, embedding(3)],
    "hierarchy, isotropic noise": [
      {
        ...linear,
        latent: latent.hierarchical({ z: 2, y: 3 }, { temperature: 0.6 }),
        translator: { conditionNoise: { kind: "isotropic", scale: 0.1 }, stds: "component" },
      },
      embedding(3),
    ],
  };

  const results: Results = {};
  for (const [name, [options, condition, train, chosen]] of Object.entries(cases)) {
    using tr0n = await Tr0n.create({ ...options, device: "cpu", seed, onDecision: () => undefined });
    const report = await tr0n.train({
      pairs: 2000,
      epochs: 4,
      batchSize: 64,
      seed,
      ...train,
    });
    results[`${name}: training`] = {
      validation: Float64Array.from(report.validation),
      // Means over the steps between two progress events, which a clock decides: their last bits are not fixed.
      trainLoss: Float32Array.of(report.trainLoss),
      heldOut: Float64Array.of(report.heldOutLoss, report.heldOutNll, report.priorEntropy),
      ...Object.fromEntries(
        Object.entries(tr0n.translator!.values()).map(([tensor, { data }]) => [tensor, data]),
      ),
    };
    for (const kind of chosen ?? Object.keys(samplers)) {
      const drawn = await tr0n.sample(condition, { count: 2, seed, sampler: samplers[kind]! });
      results[`${name}: ${kind}`] = {
        latents: drawn.latents.data,
        images: drawn.images.data,
        energies: drawn.energies,
      };
    }
  }
  return results;
}

function bytes(array: Float32Array | Float64Array): Buffer {
  return Buffer.from(array.buffer, array.byteOffset, array.byteLength);
}

/** What differs between two cases, in words; empty where nothing does. */
function differences(a: Arrays, b: Arrays): string[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].flatMap((name) => {
    const [x, y] = [a[name], b[name]];
    if (!x || !y) return [`${name} only in ${x ? "A" : "B"}`];
    if (x.length !== y.length) return [`${name}: ${x.length} and ${y.length} numbers`];
    if (bytes(x).equals(bytes(y))) return [];
    let [count, largest] = [0, 0];
    for (let i = 0; i < x.length; i++)
      if (!Object.is(x[i], y[i])) {
        count++;
        largest = Math.max(largest, Math.abs(x[i]! - y[i]!));
      }
    return [`${name}: ${count} of ${x.length} numbers, by up to ${largest.toPrecision(3)}`];
  });
}

/** Not all of a translator's tensors. */
function shown(found: readonly string[]): string[] {
  return found.length <= 4 ? [...found] : [...found.slice(0, 3), `and ${found.length - 3} more`];
}

/** A checkout's results, from a process of its own: an addon can be loaded once. */
async function resultsOf(checkout: string, seed: number, file: string): Promise<Results> {
  const args = [
    ...process.execArgv,
    fileURLToPath(import.meta.url),
    "--measure",
    file,
    "--seed",
    `${seed}`,
    checkout,
  ];
  const child = spawn(process.execPath, args, { stdio: "inherit" });
  const code = await new Promise<number | null>((done, fail) => {
    child.on("close", done).on("error", fail);
  });
  if (code !== 0)
    throw new Error(`${checkout} ended with ${code}; is it built (npm install && npm run build)?`);
  return deserialize(readFileSync(file)) as Results;
}

const { values, positionals } = parseArgs({
  options: {
    measure: { type: "string" },
    seed: { type: "string", default: "5" },
    "seed-of-b": { type: "string" },
  },
  allowPositionals: true,
});
const seed = Number(values.seed);
const [a, b = root] = positionals;
if (a === undefined) {
  process.stderr.write("usage: npm run compare -- A [B] [--seed N] [--seed-of-b N]\n");
  process.exitCode = 2;
} else if (values.measure !== undefined) {
  writeFileSync(values.measure, serialize(await measure(a, seed)));
} else {
  const folder = mkdtempSync(join(tmpdir(), "tr0n-compare-"));
  try {
    const [left, right] = [
      await resultsOf(a, seed, join(folder, "a")),
      await resultsOf(b, Number(values["seed-of-b"] ?? seed), join(folder, "b")),
    ];
    const names = [...new Set([...Object.keys(left), ...Object.keys(right)])];
    let same = 0;
    for (const name of names) {
      const found = differences(left[name] ?? {}, right[name] ?? {});
      if (found.length === 0) same++;
      else process.exitCode = 1;
      process.stdout.write(
        `${[found.length === 0 ? "same   " : "DIFFERS", name, ...shown(found)].join("  ")}\n`,
      );
    }
    process.stdout.write(`${same} of ${names.length} cases are the same in ${a} and ${b}\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
