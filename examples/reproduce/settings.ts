/** The settings of the reproduction: what is trained, what ours is compared with, and at which sizes. */
import { readFile } from "node:fs/promises";
import { evaluate } from "../../lib/evaluate/evaluate.js";
import type { EvaluationRow } from "../../lib/evaluate/report.js";
import {
  Tr0n,
  energy,
  loadModel,
  loadTokenizer,
  sampler,
  textEncoder,
  type Model,
  type TrainOptions,
} from "../../lib/index.js";
import { defaultPrompts } from "../prompts.js";
import { TextTable, textReference, type Reference } from "./by-text.js";
import { Judge } from "./judge.js";
import { rareClass, rareEncoder } from "./rare.js";
import { ablation, oursRecipe, type Row, type RowName, type Translators } from "./rows.js";

export const generators = ["gan", "vae"] as const;
export const kinds = ["class", "text", "rare"] as const;
export type Generator = (typeof generators)[number];
export type Kind = (typeof kinds)[number];

export interface Sizes {
  readonly pairs: number;
  readonly rarePairs: number;
  readonly class: { readonly samples: number; readonly reference: number };
  readonly text: {
    readonly samples: number;
    readonly reference: number;
    readonly pool: number;
    readonly prompts: number;
  };
  readonly rare: { readonly samples: number; readonly reference: number };
}

export const full: Sizes = {
  pairs: 20_000,
  rarePairs: 100_000,
  class: { samples: 150, reference: 400 },
  text: { samples: 60, reference: 200, pool: 80_000, prompts: 8 },
  rare: { samples: 100, reference: 200 },
};
/** A look at every setting in a few minutes; too small for conclusions. */
export const quick: Sizes = {
  pairs: 10_000,
  rarePairs: 10_000,
  class: { samples: 50, reference: 150 },
  text: { samples: 40, reference: 80, pool: 8000, prompts: 2 },
  rare: { samples: 30, reference: 40 },
};

/** Fidelity of text conditions, as in the text demo: five times the text model's inverse temperature. */
export const textFidelity = 130;
/** Steps of the default sampler, by fidelity. */
const steps = { class: 4, text: 16 } as const;
/** Digits whose unusually thin strokes are the rare conditions, and how unusual. */
export const rare = { digits: [2, 8], width: "thin", threshold: 6 } as const;

/** One setting with one seed, measured; JSON-able. */
export interface Cell {
  readonly generator: Generator;
  readonly kind: Kind;
  readonly seed: number;
  readonly rows: readonly Row[];
  /** Seconds of each training. */
  readonly training: Readonly<Record<string, number>>;
  /** Wall time of a gradient evaluation in forward passes. */
  readonly gradientCost: number | null;
  /** Of text: what is said about the reference. */
  readonly reference: Pick<Reference, "ancestors" | "stages" | "acceptance" | "seconds"> | null;
  readonly seconds: number;
}

type Progress = (phase: string, done?: number, total?: number) => void;

const file = (name: string): URL => new URL(`../../models/${name}`, import.meta.url);
export const openGenerator = (generator: Generator): Promise<Model> =>
  loadModel(file(generator === "gan" ? "gan-generator.onnx" : "vae-decoder.onnx"));
export const attributeClassifier = async (): Promise<Uint8Array> =>
  new Uint8Array(await readFile(file("attribute-classifier.onnx")));

/** Every second prompt of the text demo: half of them of pairs that no training saw. */
export const textPrompts = (count: number): readonly string[] => {
  const apart = defaultPrompts.length / count;
  return Array.from({ length: count }, (_, i) => defaultPrompts[Math.floor(i * apart)]!);
};

/** A Tr0n for text, and the models that it needs. */
export async function openText(generator: Generator, seed: number): Promise<Tr0n> {
  const [G, encoder, texts] = await Promise.all([
    openGenerator(generator),
    loadModel(file("image-encoder.onnx")),
    loadModel(file("text-encoder.onnx")),
  ]);
  const tokenizer = await loadTokenizer(file("text-tokenizer.json"));
  return Tr0n.create({
    generator: G,
    encoder,
    energy: energy.cosine(),
    textEncoder: textEncoder({ model: texts, tokenizer }),
    seed,
  });
}

export async function openClass(generator: Generator, seed: number, official = false): Promise<Tr0n> {
  const [G, encoder] = await Promise.all([openGenerator(generator), loadModel(file("classifier.onnx"))]);
  return Tr0n.create({
    generator: G,
    encoder,
    // The prior term is the samplers' own default; the paper has none.
    energy: official ? energy.crossEntropy() : energy.sum(energy.crossEntropy(), energy.prior()),
    seed,
  });
}

export async function openRare(generator: Generator, seed: number): Promise<Tr0n> {
  const encoder = await rareEncoder(await attributeClassifier(), rare.width, rare.threshold);
  return Tr0n.create({ generator: await openGenerator(generator), encoder, seed });
}

/** The three translators of a setting, each trained once. */
async function train(
  open: (official?: boolean) => Promise<Tr0n>,
  pairs: number,
  progress: Progress,
): Promise<{ translators: Translators; training: Record<string, number> }> {
  const training: Record<string, number> = {};
  const one = async (name: keyof Translators, options: TrainOptions): Promise<Tr0n> => {
    const tr0n = await open(name === "official");
    const report = await tr0n.train({
      ...options,
      pairs,
      onProgress: (p) => progress(`training ${name}, ${p.phase}`, p.done, p.total),
    });
    training[name] = report.seconds;
    return tr0n;
  };
  const translators = {
    ours: await one("ours", {}),
    deterministic: await one("deterministic", { loss: "mse" }),
    official: await one("official", { preset: "official" }),
  };
  return { translators, training };
}

export async function measureClass(
  generator: Generator,
  seed: number,
  s: Sizes,
  progress: Progress,
): Promise<Cell> {
  const started = performance.now();
  const { translators, training } = await train((o) => openClass(generator, seed, o), s.pairs, progress);
  const options = { ...s.class, seed, onProgress: reporting(progress) };
  // The same seed draws the same exact samples twice; the other rows depend on what ours took.
  const first = await evaluate(translators.ours, { ...options, recipes: [oursRecipe(translators.ours, 1)] });
  const [exact, ours] = first.rows as [EvaluationRow, EvaluationRow];
  const recipes = ablation(translators, {
    fidelity: 1,
    steps: steps.class,
    forwards: ours.forwards,
    gradients: ours.gradients,
  });
  const second = await evaluate(translators.ours, { ...options, recipes });
  const rows = [exact, ...second.rows.slice(1), ours].map(rowOf);
  const gradientCost = await measureGradient(translators.ours);
  for (const item of Object.values(translators)) item.dispose();
  return finish({ generator, kind: "class", seed, rows, training, gradientCost, reference: null }, started);
}

/** `reference` of the generator, which all seeds share. */
export async function measureText(
  generator: Generator,
  seed: number,
  s: Sizes,
  reference: Reference,
  progress: Progress,
): Promise<Cell> {
  const started = performance.now();
  const { translators, training } = await train(() => openText(generator, seed), s.pairs, progress);
  using judge = await Judge.open(await attributeClassifier());
  const table = new TextTable(translators.ours, judge, textPrompts(s.text.prompts), s.text.samples, seed);
  const exact = await table.prepare(reference);
  progress("ours");
  const ours = await table.row(oursRecipe(translators.ours, textFidelity));
  const rows: Row[] = [exact];
  for (const recipe of ablation(translators, {
    fidelity: textFidelity,
    steps: steps.text,
    forwards: ours.forwards!,
    gradients: ours.gradients!,
  })) {
    progress(recipe.name);
    rows.push(await table.row(recipe));
  }
  rows.push(ours);
  const gradientCost = await measureGradient(translators.ours);
  for (const item of Object.values(translators)) item.dispose();
  const { ancestors, stages, acceptance, seconds } = reference;
  const said = { ancestors, stages, acceptance, seconds };
  return finish({ generator, kind: "text", seed, rows, training, gradientCost, reference: said }, started);
}

export async function makeReference(generator: Generator, s: Sizes, progress: Progress): Promise<Reference> {
  using tr0n = await openText(generator, 1);
  return await textReference(tr0n, textPrompts(s.text.prompts), textFidelity, 1, s.text, progress);
}

export async function measureRare(
  generator: Generator,
  seed: number,
  s: Sizes,
  progress: Progress,
): Promise<Cell> {
  const started = performance.now();
  using tr0n = await openRare(generator, seed);
  const report = await tr0n.train({
    pairs: s.rarePairs,
    onProgress: (p) => progress(`training, ${p.phase}`, p.done, p.total),
  });
  const names: Record<string, RowName> = { prior: "prior", translator: "translator" };
  const { rows } = await evaluate(tr0n, {
    ...s.rare,
    seed,
    classes: rare.digits.map(rareClass),
    maxDraws: 5_000_000,
    recipes: [
      { name: names["prior"]!, sampler: sampler.direct({ start: "prior" }) },
      { name: names["translator"]!, sampler: sampler.direct() },
      { name: "naiveSteps", sampler: sampler.mala({ start: "prior", steps: steps.class }) },
      { name: "naiveResample", sampler: sampler.resample({ priorFraction: 1 }) },
      { name: "ours" },
    ],
    onProgress: reporting(progress),
  });
  const training = { ours: report.seconds };
  const cell = { generator, kind: "rare", seed, training, gradientCost: null, reference: null } as const;
  return finish({ ...cell, rows: rows.map(rowOf) }, started);
}

const reporting =
  (progress: Progress) =>
  ({ phase, done, total }: { phase: string; done: number; total: number }): void =>
    progress(phase, done, total);

function finish(cell: Omit<Cell, "seconds">, started: number): Cell {
  return { ...cell, seconds: (performance.now() - started) / 1000 };
}

function rowOf(row: EvaluationRow): Row {
  return {
    recipe: (row.recipe.startsWith("exact") ? "exact" : row.recipe) as RowName,
    accuracy: row.accuracy,
    fd: row.fd,
    fdOverFloor: row.fdOverFloor,
    diversity: row.relativeDiversity,
    forwards: row.forwards,
    gradients: row.gradients,
    secondsPer1000: row.secondsPer1000,
  };
}

/** Seconds of E and ∂E/∂z over those of E, for 2,048 rows; the median of five. */
async function measureGradient(tr0n: Tr0n): Promise<number> {
  const n = 2048;
  const { data: z } = await tr0n.drawPrior(n, { seed: 9 });
  const c = new Float32Array(n * tr0n.conditionSize);
  for (let i = 0; i < n; i++) c[i * tr0n.conditionSize] = 1;
  const forward = await tr0n.objective.native(false);
  const gradient = await tr0n.objective.native(true);
  const seconds = async (run: () => Promise<unknown>): Promise<number> => {
    const started = performance.now();
    await run();
    return performance.now() - started;
  };
  const ratios: number[] = [];
  for (let i = 0; i < 6; i++)
    ratios.push(
      (await seconds(() => gradient.evaluate(z, c, n).promise)) /
        (await seconds(() => forward.energy(z, c, n).promise)),
    );
  return ratios.slice(1).sort((a, b) => a - b)[2]!;
}
