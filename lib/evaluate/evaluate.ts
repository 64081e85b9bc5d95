/**
 * How well samples obey their class, measured against exact ones.
 *
 * Ground truth are exact samples of p(z|c) ∝ p(z)·p(c|G(z)) (exact.ts). For each class `samples` of a recipe are
 * compared with `reference` exact ones by the Fréchet distance in f's penultimate features (frechet.ts); per-class
 * distances are averaged. The floor is the same figure for an independent exact set of the recipe's size, so that a
 * perfect recipe has FD near the floor and not near 0. With 300 against 500 the floor's own spread is about a tenth.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { checkInteger, checkOptions, checkSeed, checkSignal } from "../base/check.js";
import { ArgumentError, describe, invalid } from "../base/errors.js";
import { argmax, drawExact, type ExactSet } from "./exact.js";
import { FeatureSpace } from "./feature-space.js";
import {
  featureStatistics,
  frechetDistance,
  meanPairwiseDistance,
  type FeatureStatistics,
} from "./frechet.js";
import { describeLatent } from "../latent/description.js";
import { checkSampler, type Sampler } from "../sampling/sampler.js";
import { fixed, textTable } from "../base/text-table.js";
import type { Samples, Tr0n } from "../tr0n/tr0n.js";

/** A way to sample, and its name in the report. */
export interface Recipe {
  name: string;
  /** Default: sampler.resample(). */
  sampler?: Sampler;
  /** A Tr0n with another translator, prior weight or energy over the same generator and encoder. Default: the evaluated one. */
  tr0n?: Tr0n;
}

export interface EvaluateOptions {
  /** Default: the default sampler alone. */
  recipes?: readonly Recipe[];
  /** Default: all classes of the encoder. */
  classes?: readonly number[];
  /** Samples of each class for every recipe, and for the exact set that gives the floor. Default 300. */
  samples?: number;
  /** Exact samples of each class to compare with. Default 500. */
  reference?: number;
  /** Draws of the prior after which too few exact samples of a class are an error. Default 100 × the samples needed. */
  maxDraws?: number;
  /** Name of the value in the encoder's graph that gives the features. Default: the input of its last linear layer. */
  features?: string;
  /** Default random; the report tells it. */
  seed?: number;
  onProgress?: (progress: EvaluateProgress) => void;
  signal?: AbortSignal;
}

export interface EvaluateProgress {
  /** "exact", then each recipe's name. */
  readonly phase: string;
  readonly done: number;
  readonly total: number;
}

/** One line of the report, as plain data: means over classes where nothing else is said. */
export interface EvaluationRow {
  readonly recipe: string;
  /** Share of samples whose most probable class is the one asked for; for rejection of `samples` + `reference` samples. */
  readonly accuracy: number;
  /** Fréchet distance to the exact samples, in the encoder's features. */
  readonly fd: number;
  readonly fdOverFloor: number;
  /** Mean distance, in features, of two samples of a class. */
  readonly diversity: number;
  /** The diversity divided by that of the exact samples; below 1 means less diverse. */
  readonly relativeDiversity: number;
  /** Root mean square of all numbers of the latents; 1 for draws of N(0, I). */
  readonly latentRms: number;
  /** Evaluations of f∘G, and of its gradient, for one sample; for rejection those for one sample of one class. */
  readonly forwards: number;
  readonly gradients: number;
  /** Wall time for 1,000 samples with their images; for rejection without images, and for samples of one class. */
  readonly secondsPer1000: number;
  /** Mean effective sample size of the candidates and mean accept probability, where the sampler has them. */
  readonly ess: number | null;
  readonly acceptance: number | null;
  /** FD and accuracy of each class, in the order of the report's `classes`. */
  readonly perClass: readonly { readonly class: number; readonly accuracy: number; readonly fd: number }[];
}

/** The report of evaluate(), as plain data. */
export interface Evaluation {
  readonly classes: readonly number[];
  readonly samples: number;
  readonly reference: number;
  readonly seed: number;
  readonly features: { readonly value: string; readonly width: number };
  /** Draws of the prior that the exact samples took. */
  readonly draws: number;
  /** Mean over classes of the FD between two independent exact sets, of the sizes `samples` and `reference`. */
  readonly floor: number;
  /** Exact rejection first, then the recipes. */
  readonly rows: readonly EvaluationRow[];
}

/** One class's samples of a recipe, mapped. */
interface SampleSet {
  readonly features: Float32Array;
  readonly latents: Float32Array;
  readonly hits: number;
}

/**
 * Draws exact samples and those of every recipe, and compares them. Models run on tr0n's own threads; the linear
 * algebra runs here, a class at a time.
 *
 * @throws ArgumentError for classes the encoder does not have, one that the prior hardly ever makes, or an encoder that
 *   is no classifier; ModelError when the encoder has no linear layer to take features from; AbortError
 */
export async function evaluate(tr0n: Tr0n, options?: EvaluateOptions): Promise<Evaluation> {
  const o = checkOptions("options", options, [
    "recipes",
    "classes",
    "samples",
    "reference",
    "maxDraws",
    "features",
    "seed",
    "onProgress",
    "signal",
  ]);
  checkSignal("signal", o.signal);
  const samples = checkInteger("samples", o.samples, 300, { min: 2, max: 1_000_000 });
  const reference = checkInteger("reference", o.reference, 500, { min: 2, max: 1_000_000 });
  const seed = checkSeed("seed", o.seed);
  const recipes = await checkRecipes(o.recipes ?? [{ name: "default" }], tr0n);
  const space = await FeatureSpace.open(tr0n.objective, o.features, o.signal);
  try {
    const classes = checkClasses(o.classes, space.classes);
    const maxDraws = checkInteger("maxDraws", o.maxDraws, 100 * classes.length * (samples + reference), {
      min: 1,
    });
    const started = performance.now();
    const exact = await drawExact((first, n) => space.draw(seed, first, n, o.signal), {
      classes,
      count: samples + reference,
      maxDraws,
      seed,
      signal: o.signal,
      onProgress: (done, total) => o.onProgress?.({ phase: "exact", done, total }),
    });
    const secondsPerDraw = (performance.now() - started) / 1000 / exact.draws;
    const truth = await prepare(exact.sets, samples, space.width);

    const drawsPerSample = mean(exact.sets.map((set) => set.drawsPerSample));
    const rows: EvaluationRow[] = [];
    const quality = await compare(
      "exact (rejection)",
      truth.map((t) => t.independent),
      truth,
      classes,
      space.width,
    );
    // The yardstick's accuracy comes from every exact sample there is, so that its own spread counts for less.
    const accuracies = exact.sets.map((set) => mean([...set.hits]));
    rows.push({
      ...quality,
      accuracy: mean(accuracies),
      perClass: quality.perClass.map((p, i) => ({ ...p, accuracy: accuracies[i]! })),
      forwards: drawsPerSample,
      gradients: 0,
      secondsPer1000: 1000 * drawsPerSample * secondsPerDraw,
      ess: null,
      acceptance: null,
    });
    for (const recipe of recipes)
      rows.push(await evaluateRecipe(recipe, { tr0n, space, classes, samples, seed, truth, options: o }));
    return {
      classes,
      samples,
      reference,
      seed,
      features: { value: space.feature, width: space.width },
      draws: exact.draws,
      floor: rows[0]!.fd,
      rows,
    };
  } finally {
    space.dispose();
  }
}

/** What recipes of one class are compared with. */
interface Truth {
  readonly statistics: FeatureStatistics;
  /** The exact set that stands where a recipe's samples stand. */
  readonly independent: SampleSet;
  /** FD and diversity of that set. */
  readonly floor: number;
  readonly diversity: number;
}

/** Splits every exact set into the first `samples` rows and the rest, the reference. */
async function prepare(sets: readonly ExactSet[], samples: number, width: number): Promise<Truth[]> {
  const truth: Truth[] = [];
  for (const set of sets) {
    await nextTurn();
    const d = set.latents.length / set.hits.length;
    const statistics = featureStatistics({
      data: set.features.subarray(samples * width),
      n: set.hits.length - samples,
      d: width,
    });
    const independent: SampleSet = {
      features: set.features.subarray(0, samples * width),
      latents: set.latents.subarray(0, samples * d),
      hits: set.hits.subarray(0, samples).reduce((sum, hit) => sum + hit, 0),
    };
    const own = { data: independent.features, n: samples, d: width };
    truth.push({
      statistics,
      independent,
      floor: frechetDistance(featureStatistics(own), statistics),
      diversity: meanPairwiseDistance(own),
    });
  }
  return truth;
}

async function evaluateRecipe(
  recipe: Recipe,
  context: {
    tr0n: Tr0n;
    space: FeatureSpace;
    classes: readonly number[];
    samples: number;
    seed: number;
    truth: readonly Truth[];
    options: EvaluateOptions;
  },
): Promise<EvaluationRow> {
  const { space, classes, samples, seed, truth, options } = context;
  const tr0n = recipe.tr0n ?? context.tr0n;
  const draw = (c: number, count: number): Promise<Samples> => {
    const own = { count, seed: (seed + c) % Number.MAX_SAFE_INTEGER, signal: options.signal };
    return tr0n.sample({ class: c }, { ...own, sampler: recipe.sampler });
  };
  await draw(classes[0]!, 1); // what the first call prepares is no cost of sampling
  const sets: SampleSet[] = [];
  const cost = { forwards: 0, gradients: 0, seconds: 0, ess: [] as number[], acceptance: [] as number[] };
  for (const [index, c] of classes.entries()) {
    options.onProgress?.({ phase: recipe.name, done: index, total: classes.length });
    const started = performance.now();
    // A class at a time: the images of all of them may not fit, and this thread gets a turn in between.
    const drawn = await draw(c, samples);
    cost.seconds += (performance.now() - started) / 1000;
    cost.forwards += drawn.evaluations.forwards;
    cost.gradients += drawn.evaluations.gradients;
    cost.ess.push(...drawn.ess);
    cost.acceptance.push(...drawn.acceptance);
    const mapped = await space.map(drawn.latents.data, samples, options.signal);
    let hits = 0;
    for (let i = 0; i < samples; i++)
      if (argmax(mapped.probabilities.subarray(i * space.classes, (i + 1) * space.classes)) === c) hits++;
    sets.push({ features: mapped.features, latents: drawn.latents.data, hits });
  }
  options.onProgress?.({ phase: recipe.name, done: classes.length, total: classes.length });
  const total = classes.length * samples;
  return {
    ...(await compare(recipe.name, sets, truth, classes, space.width)),
    forwards: cost.forwards / total,
    gradients: cost.gradients / total,
    secondsPer1000: (1000 * cost.seconds) / total,
    ess: finiteMean(cost.ess),
    acceptance: finiteMean(cost.acceptance),
  };
}

type Quality = Pick<
  EvaluationRow,
  "recipe" | "accuracy" | "fd" | "fdOverFloor" | "diversity" | "relativeDiversity" | "latentRms" | "perClass"
>;

/** The figures that depend on the samples alone. `sets[i]` is compared with `truth[i]`. */
async function compare(
  recipe: string,
  sets: readonly SampleSet[],
  truth: readonly Truth[],
  classes: readonly number[],
  width: number,
): Promise<Quality> {
  const perClass: Quality["perClass"][number][] = [];
  const diversities: number[] = [];
  let squares = 0;
  let numbers = 0;
  for (const [index, set] of sets.entries()) {
    await nextTurn();
    const n = set.features.length / width;
    const rows = { data: set.features, n, d: width };
    const { statistics, floor, independent } = truth[index]!;
    const fd = set === independent ? floor : frechetDistance(featureStatistics(rows), statistics);
    perClass.push({ class: classes[index]!, accuracy: set.hits / n, fd });
    diversities.push(meanPairwiseDistance(rows));
    for (const value of set.latents) squares += value * value;
    numbers += set.latents.length;
  }
  const fd = mean(perClass.map((p) => p.fd));
  const diversity = mean(diversities);
  return {
    recipe,
    accuracy: mean(perClass.map((p) => p.accuracy)),
    fd,
    fdOverFloor: fd / mean(truth.map((t) => t.floor)),
    diversity,
    relativeDiversity: diversity / mean(truth.map((t) => t.diversity)),
    latentRms: Math.sqrt(squares / numbers),
    perClass,
  };
}

/** The report as a table for people. */
export function formatEvaluation(report: Evaluation): string {
  const rows = report.rows.map((row) => [
    row.recipe,
    fixed(row.accuracy, 3),
    fixed(row.fd, 1),
    fixed(row.fdOverFloor, 2),
    fixed(row.relativeDiversity, 2),
    fixed(row.latentRms, 2),
    fixed(row.forwards, 1),
    fixed(row.gradients, 1),
    fixed(row.ess, 1),
    fixed(row.acceptance, 2),
    fixed(row.secondsPer1000, 2),
  ]);
  const header = [
    "recipe",
    "accuracy",
    "FD",
    "FD/floor",
    "diversity",
    "rms z",
    "f∘G",
    "∇(f∘G)",
    "ESS",
    "accept",
    "s/1000",
  ];
  return [
    textTable(header, rows),
    "",
    `${report.classes.length} class${report.classes.length === 1 ? "" : "es"}, ${report.samples} samples a class against ${report.reference} exact ones, in ${report.features.width} features.`,
    "accuracy: the encoder's guess is the class asked for. FD: Fréchet distance to exact samples; its floor is that of",
    "another exact set. diversity: distance of two samples of a class, exact = 1. rms z: 1 for the prior N(0, I).",
    "f∘G, ∇(f∘G): evaluations a sample.",
  ].join("\n");
}

/** @throws ArgumentError unless all recipes are about the same generator, encoder and prior. */
async function checkRecipes(value: unknown, tr0n: Tr0n): Promise<readonly Recipe[]> {
  if (!Array.isArray(value)) throw invalid("recipes", "an array of { name, sampler }", value);
  const identity = async ({ objective }: Tr0n): Promise<string> => {
    const models = [await objective.generator.fingerprint(), await objective.encoder.fingerprint()];
    return JSON.stringify([
      models,
      await describeLatent(objective.latent),
      objective.stages,
      objective.encoderOutput,
      objective.encoderKind,
    ]);
  };
  const own = await identity(tr0n);
  for (const [index, item] of (value as Recipe[]).entries()) {
    const name = `recipes[${index}]`;
    if (!item || typeof item !== "object") throw invalid(name, "{ name, sampler }", item);
    checkOptions(name, item, ["name", "sampler", "tr0n"]);
    if (typeof item.name !== "string" || item.name === "") throw invalid(`${name}.name`, "a name", item.name);
    checkSampler(`${name}.sampler`, item.sampler);
    if (item.tr0n && (await identity(item.tr0n)) !== own)
      throw new ArgumentError(
        `${name}.tr0n: expected one over the same generator, encoder and prior as the one that is evaluated`,
        { code: "ERR_SHAPE_MISMATCH" },
      );
  }
  return value as Recipe[];
}

function checkClasses(value: unknown, count: number): number[] {
  if (value === undefined) return Array.from({ length: count }, (_, c) => c);
  if (!Array.isArray(value) || value.length === 0)
    throw new ArgumentError(`classes: expected a list of at least one class, got ${describe(value)}`);
  const seen = new Set<number>();
  for (const c of value as unknown[]) {
    if (typeof c !== "number" || !Number.isInteger(c) || c < 0 || c >= count)
      throw new ArgumentError(`classes: expected integers from 0 to ${count - 1}, got ${describe(c)}`);
    if (seen.has(c)) throw new ArgumentError(`classes: expected each class once, got ${c} twice`);
    seen.add(c);
  }
  return [...seen];
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The mean of the numbers that are finite; null where none is. */
function finiteMean(values: readonly number[]): number | null {
  const finite = values.filter(Number.isFinite);
  return finite.length > 0 ? mean(finite) : null;
}
