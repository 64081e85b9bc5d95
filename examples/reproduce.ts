/**
 * `npm run reproduce`: the paper's ablation at the demo's scale. Measures every way to sample in every setting with three
 * seeds, keeps finished cells in out/reproduce, and writes docs/reproduce.md with its plots.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { writeFileAtomic } from "../lib/base/atomic-write.js";
import { Progress } from "../lib/cli/progress.js";
import type { Reference } from "./reproduce/by-text.js";
import { writeReport } from "./reproduce/report.js";
import {
  full,
  generators,
  kinds,
  makeReference,
  measureClass,
  measureRare,
  measureText,
  quick,
  type Cell,
  type Generator,
  type Kind,
  type Sizes,
} from "./reproduce/settings.js";

const usage = `Usage: npm run reproduce -- [options]

  --only LIST    of gan, vae, class, text, rare, separated by commas: these settings alone
  --seeds N      seeds 1 … N (default 3, with --quick 1)
  --quick        small sizes: a look at every setting, not a measurement
  --fresh        measure again what out/reproduce has already
  --docs FOLDER  write reproduce.md and its plots there; default docs at full size and with all
                 settings, else out/reproduce
  --help         show this help`;

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    seeds: { type: "string" },
    quick: { type: "boolean", default: false },
    fresh: { type: "boolean", default: false },
    docs: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

/** The part of a list that was asked for; all of it where nothing of it was. */
function chosen<T extends string>(all: readonly T[], words: readonly string[]): readonly T[] {
  const some = all.filter((item) => words.includes(item));
  return some.length > 0 ? some : all;
}

/** A result from the cache, or made now and kept. Another size or another recipe is another result. */
async function cached<T>(
  folder: string,
  name: string,
  facts: unknown,
  make: () => Promise<T>,
): Promise<{ value: T; fresh: boolean }> {
  const key = createHash("sha256").update(JSON.stringify(facts)).digest("hex").slice(0, 8);
  const path = join(folder, `${name}-${key}.json`);
  if (!values.fresh) {
    try {
      return { value: JSON.parse(await readFile(path, "utf8")) as T, fresh: false };
    } catch (error) {
      // A file that is not there, or not whole JSON, is measured.
      if (!(error instanceof SyntaxError) && (error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  const value = await make();
  await writeFileAtomic(path, `${JSON.stringify(value)}\n`);
  return { value, fresh: true };
}

async function reproduce(
  words: readonly string[],
  seeds: readonly number[],
  progress: Progress,
): Promise<void> {
  const started = performance.now();
  const sizes: Sizes = values.quick ? quick : full;
  const folder = join("out", "reproduce");
  await mkdir(folder, { recursive: true });
  const say = (text: string): void => {
    progress.stop();
    console.log(`[${((performance.now() - started) / 1000).toFixed(0).padStart(4)} s] ${text}`);
  };
  const references = new Map<Generator, Promise<{ value: Reference; fresh: boolean }>>();
  const referenceOf = async (generator: Generator): Promise<Reference> => {
    let made = references.get(generator);
    if (!made) {
      made = cached(folder, `reference-${generator}`, sizes.text, () =>
        makeReference(generator, sizes, (phase, done, total) =>
          progress.update(`${generator}, text, reference: ${phase}`, done ?? 0, total ?? 1),
        ),
      );
      references.set(generator, made);
      const { value, fresh } = await made;
      if (fresh) say(`${generator}, text: reference samples in ${value.seconds.toFixed(0)} s`);
    }
    return (await made).value;
  };
  const measure = async (generator: Generator, kind: Kind, seed: number): Promise<Cell> => {
    const update = (phase: string, done = 0, total = 1): void =>
      progress.update(`${generator}, ${kind}, seed ${seed}: ${phase}`, done, total);
    switch (kind) {
      case "class":
        return measureClass(generator, seed, sizes, update);
      case "text":
        return measureText(generator, seed, sizes, await referenceOf(generator), update);
      case "rare":
        return measureRare(generator, seed, sizes, update);
    }
  };
  const cells: Cell[] = [];
  // Seed after seed, so that an interrupted run has something to say about every setting.
  for (const seed of seeds)
    for (const kind of chosen(kinds, words))
      for (const generator of chosen(generators, words)) {
        const facts = { ...sizes[kind], pairs: kind === "rare" ? sizes.rarePairs : sizes.pairs };
        const { value, fresh } = await cached(folder, `${generator}-${kind}-${seed}`, facts, () =>
          measure(generator, kind, seed),
        );
        cells.push(value);
        const ours = value.rows.find((row) => row.recipe === "ours")!;
        const exact = value.rows.find((row) => row.recipe === "exact")!;
        say(
          `${generator}, ${kind}, seed ${seed}: accuracy ${ours.accuracy.toFixed(3)} (reference ` +
            `${exact.accuracy.toFixed(3)}), FD ${ours.fdOverFloor.toFixed(2)} × floor, ` +
            (fresh ? `${value.seconds.toFixed(0)} s` : "from the cache"),
        );
      }
  const whole = !values.quick && words.length === 0;
  const docs = values.docs ?? (whole ? fileURLToPath(new URL("../docs", import.meta.url)) : join(folder));
  const path = await writeReport(docs, cells, sizes);
  say(`${path} is written.`);
}

async function main(): Promise<void> {
  if (values.help) return console.log(usage);
  const words = values.only === undefined ? [] : values.only.split(",");
  const known: readonly string[] = [...generators, ...kinds];
  const count = Number(values.seeds ?? (values.quick ? 1 : 3));
  if (words.some((word) => !known.includes(word)) || !Number.isInteger(count) || count < 1) {
    console.error(usage);
    process.exitCode = 2;
    return;
  }
  const progress = await Progress.create(process.stderr.isTTY === true);
  try {
    await reproduce(
      words,
      Array.from({ length: count }, (_, i) => i + 1),
      progress,
    );
  } catch (error) {
    progress.stop();
    console.error(`reproduce: ${(error as Error).message}`);
    if (process.env["TR0N_DEBUG"]) console.error(error);
    process.exitCode = 1;
  }
}

void main();
