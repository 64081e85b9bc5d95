/**
 * For how long the event loop is held at a time, phase by phase: `npx tsx scripts/event-loop.ts [A] [B]`, each a built
 * checkout (this one by default). Milliseconds are the main thread's own CPU time between two turns, so that other processes
 * do not count; garbage collection does. Beside them the CPU seconds of all threads together. `--rows N` scales the rows of
 * all phases, 100,000 by default; `--only PATTERN` chooses phases.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import type * as Library from "../lib/index.js";
import { Builder, DataType, emptyGraph, encodeModel } from "../lib/onnx/index.js";
import { textTable } from "../lib/base/text-table.js";
import { longestHold } from "../test/support/event-loop.js";
import { numbers } from "../test/support/numbers.js";

const root = fileURLToPath(new URL("..", import.meta.url));

interface Measured {
  readonly phase: string;
  /** ms */
  readonly hold: number;
  /** s, of all threads */
  readonly cpu: number;
}

/** inputs [N, width] each → [N, 1, 1, out] = tanh(Σ xᵢ·Aᵢ): next to no work for each row. */
function generator(inputs: Record<string, number>, out: number): Uint8Array {
  const b = new Builder(emptyGraph("generator"));
  const parts = Object.entries(inputs).map(([name, width], i) =>
    b.op("MatMul", [
      b.input(name, DataType.FLOAT, ["batch", width]),
      b.constant(numbers(i + 1, width * out, -0.1, 0.1), [width, out], DataType.FLOAT),
    ]),
  );
  const sum = parts.reduce((left, right) => b.op("Add", [left, right]));
  b.output("image", b.reshape(b.op("Tanh", [sum]), [-1, 1, 1, out]));
  b.graph.outputs[0]!.dims = ["batch", 1, 1, out];
  return encodeModel(b.graph);
}

/** x [N, 1, 1, from] → relu(x·A) [N, features] → y [N, to], the features its last linear layer's input. */
function encoder(from: number, features: number, to: number): Uint8Array {
  const b = new Builder(emptyGraph("encoder"));
  const flat = b.op("Flatten", [b.input("x", DataType.FLOAT, ["batch", 1, 1, from])], { axis: 1 });
  const layer = (x: string, seed: number, rows: number, columns: number): string =>
    b.op("MatMul", [x, b.constant(numbers(seed, rows * columns), [rows, columns], DataType.FLOAT)]);
  b.output("y", layer(b.op("Relu", [layer(flat, 7, from, features)]), 8, features, to));
  b.graph.outputs[0]!.dims = ["batch", to];
  return encodeModel(b.graph);
}

/** z [N, from] → w [N, to]. */
function mapping(from: number, to: number): Uint8Array {
  const b = new Builder(emptyGraph("mapping"));
  const z = b.input("z", DataType.FLOAT, ["batch", from]);
  b.output("w", b.op("MatMul", [z, b.constant(numbers(3, from * to), [from, to], DataType.FLOAT)]));
  b.graph.outputs[0]!.dims = ["batch", to];
  return encodeModel(b.graph);
}

async function measure(checkout: string, rows: number, only: RegExp): Promise<Measured[]> {
  const url = pathToFileURL(join(resolve(checkout), "dist", "index.js")).href;
  const {
    energy,
    evaluate,
    generatePairs,
    latent,
    loadModel,
    sampler,
    tensor,
    Tr0n,
    writeImages,
    readImage,
  } = (await import(url)) as typeof Library;
  const folder = mkdtempSync(join(tmpdir(), "tr0n-event-loop-"));
  const found: Measured[] = [];
  const phase = async <T>(name: string, body: () => Promise<T>): Promise<T> => {
    await new Promise((done) => setTimeout(done, 20));
    const before = process.cpuUsage();
    const { result, hold } = await longestHold(body);
    const { user, system } = process.cpuUsage(before);
    if (only.test(name)) found.push({ phase: name, hold, cpu: (user + system) / 1e6 });
    return result;
  };
  const wanted = (group: string): boolean => only.test(group);
  const quiet = { device: "cpu" as const, seed: 1, onDecision: () => undefined };
  const short = { epochs: 1, batchSize: 1024, seed: 1 };
  const small = { components: 2, hidden: 32 };
  const squares = { energy: energy.squaredError() };

  if (wanted("normal")) {
    const [g, f] = [await loadModel(generator({ z: 512 }, 32)), await loadModel(encoder(32, 16, 512))];
    const options = { generator: g, encoder: f, ...squares, ...quiet, translator: small };
    const tr0n = await phase("normal 512: create", () => Tr0n.create(options));
    await phase(`normal 512: train on ${rows} pairs with 512 numbers as condition`, () =>
      tr0n.train({ pairs: rows, ...short }),
    );
    const n = Math.ceil(rows / 10);
    const embedding = tensor(numbers(5, n * 512), [n, 512]);
    await phase(`normal 512: sample ${n} chains of one condition each`, () =>
      tr0n.sample(
        { embedding },
        { seed: 1, sampler: sampler.resample({ candidates: 2, maxCandidates: 2, steps: 1 }) },
      ),
    );
    const { latents } = await phase(`normal 512: sample ${n} chains of one condition`, () =>
      tr0n.sample(
        { embedding: tensor(numbers(5, 512), [512]) },
        { count: n, seed: 1, sampler: sampler.direct({ start: "prior" }) },
      ),
    );
    await phase(`normal 512: encode ${n} latents`, () => tr0n.encode(latents));
    await phase(`normal 512: the translator's draws for ${n} conditions`, () =>
      tr0n.translator!.sample(embedding, { seed: 1 }),
    );
    const pairs = {
      generator: g,
      encoder: f,
      ...squares,
      onDecision: () => undefined,
      folder: join(folder, "pairs"),
    };
    await phase(`normal 512: ${rows} pairs to a folder`, () =>
      generatePairs({ ...pairs, count: rows, seed: 1 }),
    );
    await phase(`normal 512: train on the folder`, () =>
      tr0n.train({ pairs: join(folder, "pairs"), ...short }),
    );
    tr0n.dispose();
  }
  if (wanted("large")) {
    const [g, f] = [await loadModel(generator({ z: 512 }, 32)), await loadModel(encoder(32, 16, 512))];
    const large = { components: 10, hidden: 2048 };
    using tr0n = await Tr0n.create({ generator: g, encoder: f, ...squares, ...quiet, translator: large });
    await phase("large translator, 12 million numbers: train on 256 pairs", () =>
      tr0n.train({ pairs: 256, ...short }),
    );
    await phase("large translator: save", () => tr0n.save(join(folder, "large.safetensors")));
    const again = await phase("large translator: load", () =>
      Tr0n.load(join(folder, "large.safetensors"), {
        generator: g,
        encoder: f,
        onDecision: () => undefined,
        device: "cpu",
      }),
    );
    again.dispose();
  }
  if (wanted("table")) {
    const width = 128;
    const [g, f] = [
      await loadModel(generator({ z: 128, y: width }, 32)),
      await loadModel(encoder(32, 16, 64)),
    ];
    const table = latent.table(tensor(numbers(4, rows * width), [rows, width]));
    const prior = latent.product({ z: latent.normal(128), y: table });
    const options = { generator: g, encoder: f, ...squares, ...quiet, latent: prior };
    const tr0n = await phase(`table of ${rows} rows: create`, () =>
      Tr0n.create({ ...options, translator: { ...small, auxiliary: "y" } }),
    );
    await phase(`table: train on ${rows} pairs with an auxiliary head`, () =>
      tr0n.train({ pairs: rows, ...short }),
    );
    await phase(`table: draw ${rows} latents`, () => tr0n.drawPrior(rows, { seed: 1 }));
    const n = Math.ceil(rows / 10);
    const embedding = tensor(numbers(5, n * 64), [n, 64]);
    await phase(`table: sample ${n} chains from the prior`, () =>
      tr0n.sample({ embedding }, { seed: 1, sampler: sampler.direct({ start: "prior" }) }),
    );
    await phase("table: save", () => tr0n.save(join(folder, "table.safetensors")));
    const again = await phase("table: load", () =>
      Tr0n.load(join(folder, "table.safetensors"), {
        generator: g,
        encoder: f,
        onDecision: () => undefined,
        device: "cpu",
      }),
    );
    again.dispose();
    tr0n.dispose();
  }
  if (wanted("mapped")) {
    const [g, f, m] = [
      await loadModel(generator({ w: 512 }, 32)),
      await loadModel(encoder(32, 16, 64)),
      await loadModel(mapping(64, 512)),
    ];
    const prior = latent.mapped(m, latent.normal(64));
    using tr0n = await phase("mapped 64 to 512: create", () =>
      Tr0n.create({ generator: g, encoder: f, ...squares, ...quiet, latent: prior, translator: small }),
    );
    await phase(`mapped: draw ${rows} latents`, () => tr0n.drawPrior(rows, { seed: 1 }));
    await phase(`mapped: train on ${rows} pairs`, () => tr0n.train({ pairs: rows, ...short }));
  }
  if (wanted("evaluate")) {
    const [g, f] = [await loadModel(generator({ z: 64 }, 32)), await loadModel(encoder(32, 256, 10))];
    using tr0n = await Tr0n.create({
      generator: g,
      encoder: f,
      encoderKind: "logits",
      ...quiet,
      translator: small,
    });
    await tr0n.train({ pairs: 2000, ...short });
    const counts = { samples: Math.ceil(rows / 200), reference: Math.ceil(rows / 100) };
    await phase(
      `evaluate: ${counts.samples} samples, ${counts.reference} exact ones, 256 features, 3 classes`,
      () => evaluate(tr0n, { ...counts, classes: [0, 1, 2], seed: 1 }),
    );
    await phase("evaluate: 200 samples, 300 exact ones, 256 features, 3 classes", () =>
      evaluate(tr0n, { samples: 200, reference: 300, classes: [0, 1, 2], seed: 1 }),
    );
  }
  if (wanted("images")) {
    const n = Math.ceil(rows / 100);
    const images = tensor(numbers(6, n * 3 * 64 * 64), [n, 3, 64, 64]);
    await phase(`images: write ${n} of 64 × 64 pixels`, () => writeImages(join(folder, "sheet.png"), images));
    await phase(`images: read them as one`, () => readImage(join(folder, "sheet.png")));
  }
  rmSync(folder, { recursive: true, force: true });
  return found;
}

/** What a checkout's phases take, in a process of its own: an addon can be loaded once. */
async function measuredIn(checkout: string, flags: readonly string[]): Promise<Measured[]> {
  const args = [...process.execArgv, fileURLToPath(import.meta.url), "--measure", ...flags, checkout];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const code = await new Promise<number | null>((done, fail) => child.on("close", done).on("error", fail));
  if (code !== 0)
    throw new Error(`${checkout} ended with ${code}; is it built (npm install && npm run build)?`);
  return JSON.parse(text) as Measured[];
}

const { values, positionals } = parseArgs({
  options: {
    measure: { type: "boolean", default: false },
    rows: { type: "string", default: "100000" },
    only: { type: "string", default: "." },
  },
  allowPositionals: true,
});
const checkouts = positionals.length > 0 ? positionals : [root];
if (values.measure) {
  process.stdout.write(
    JSON.stringify(await measure(checkouts[0]!, Number(values.rows), new RegExp(values.only))),
  );
} else {
  const flags = ["--rows", values.rows, "--only", values.only];
  const all: Measured[][] = [];
  for (const checkout of checkouts) all.push(await measuredIn(checkout, flags));
  const header = ["phase", ...checkouts.flatMap((_, i) => [`${"AB"[i] ?? i}: ms held`, "CPU s"])];
  const lines = all[0]!.map(({ phase }, i) => [
    phase,
    ...all.flatMap((found) => [found[i]!.hold.toFixed(1), found[i]!.cpu.toFixed(1)]),
  ]);
  process.stdout.write(`${textTable(header, lines)}\n`);
}
