/**
 * Exact samples of p(z|c) ∝ p(z)·p(c|G(z)) by rejection, for all classes in one pass: z ~ p(z), y ~ p(y|G(z)), and z is
 * kept for class y. That accepts z for class c with probability p(c|G(z)), which is rejection sampling with the prior
 * as proposal; samples are independent, and those of different classes too.
 */
import { AbortError, ArgumentError } from "../base/errors.js";
import { native } from "../native/binding.js";
import { runJob } from "../native/job.js";

/** Rows first … first + n − 1 of an endless list of prior draws, mapped. */
export type DrawRows = (first: number, n: number) => Promise<DrawnRows>;

type ScoreKind = "logits" | "probabilities";

export interface DrawnRows {
  /** [n, d] */
  readonly latents: Float32Array;
  /** What the classifier says of G(z), [n, classes]. */
  readonly scores: Float32Array;
  /** "logits": p(y|G(z)) is their softmax, also of log-probabilities; "probabilities": they are it. */
  readonly kind: ScoreKind;
  /** [n, w] */
  readonly features: Float32Array;
}

/** The samples of one class, in the order in which they were drawn. */
export interface ExactSet {
  /** [count, d] */
  readonly latents: Float32Array;
  /** [count, w] */
  readonly features: Float32Array;
  /** [count]: whether the encoder's most probable class is the one asked for */
  readonly hits: Uint8Array;
  /** Draws of the prior per accepted sample, 1 / p(c), estimated from the whole pass. */
  readonly drawsPerSample: number;
}

interface ExactOptions {
  /** Classes to fill, different ones. */
  classes: readonly number[];
  /** Samples wanted of each. */
  count: number;
  /** Draws after which a class that is not full is an error. */
  maxDraws: number;
  /** Decides y; independent of the latents' own randomness. */
  seed: number;
  /** Rows per call of `draw`; the samples do not depend on it. */
  block?: number;
  /** Gets the samples of the emptiest class. */
  onProgress?: (filled: number, count: number) => void;
  signal?: AbortSignal;
}

/**
 * Draws until every class has `count` samples.
 *
 * @returns one set per class, in the order of `options.classes`
 * @throws ArgumentError when a class is not full after `maxDraws` draws; AbortError
 */
export async function drawExact(
  draw: DrawRows,
  options: ExactOptions,
): Promise<{ sets: ExactSet[]; draws: number }> {
  const { classes, count, maxDraws, seed, block = 1000 } = options;
  const kept = new Map(classes.map((c) => [c, new ClassRows(count)]));
  const emptiest = (): number =>
    Math.min(...[...kept.values()].map((rows) => Math.min(rows.accepted, count)));
  let draws = 0;
  for (; emptiest() < count && draws < maxDraws; options.onProgress?.(emptiest(), count)) {
    if (options.signal?.aborted)
      throw new AbortError("rejection sampling", { cause: options.signal.reason as unknown });
    const n = Math.min(block, maxDraws - draws);
    const rows = await draw(draws, n);
    const { drawn, likeliest } = await drawClasses(rows, n, seed, draws, options.signal);
    for (let i = 0; i < n; i++) kept.get(drawn[i]!)?.add(rows, i, n, likeliest[i]!);
    draws += n;
  }
  const sets = classes.map((c): ExactSet => {
    const rows = kept.get(c)!;
    if (rows.accepted < count)
      throw new ArgumentError(
        `classes: expected ${count} exact samples of class ${c} to compare with, got ${rows.accepted} in ${draws} draws ` +
          `of the prior. Ask for fewer samples, for more draws, or leave the class out`,
      );
    return rows.finish(c, draws);
  });
  return { sets, draws };
}

class ClassRows {
  accepted = 0;
  private latents = new Float32Array(0);
  private features = new Float32Array(0);
  private readonly guesses: Uint32Array;

  constructor(private readonly count: number) {
    this.guesses = new Uint32Array(count);
  }

  /** Counts every accepted row, keeps the first `count`. */
  add(rows: DrawnRows, i: number, n: number, guess: number): void {
    const { count, accepted } = this;
    const [d, w] = [rows.latents.length / n, rows.features.length / n];
    if (this.accepted++ >= count) return;
    if (accepted === 0)
      [this.latents, this.features] = [new Float32Array(count * d), new Float32Array(count * w)];
    this.latents.set(rows.latents.subarray(i * d, (i + 1) * d), accepted * d);
    this.features.set(rows.features.subarray(i * w, (i + 1) * w), accepted * w);
    this.guesses[accepted] = guess;
  }

  finish(c: number, draws: number): ExactSet {
    return {
      latents: this.latents,
      features: this.features,
      hits: Uint8Array.from(this.guesses, (guess) => (guess === c ? 1 : 0)),
      drawsPerSample: draws / this.accepted,
    };
  }
}

/**
 * For each of n rows a class y ~ p(y), by random number first + row of the seed (as uniformAt has them), and the most
 * probable one. Nobody outside has the scores.
 */
export function drawClasses(
  { scores, kind }: Pick<DrawnRows, "scores" | "kind">,
  n: number,
  seed: number,
  first: number,
  signal?: AbortSignal,
): Promise<{ drawn: Uint32Array; likeliest: Uint32Array }> {
  return runJob("evaluate", signal, () =>
    native().drawClasses({ owned: scores }, n, scores.length / n, kind, BigInt(seed), first),
  );
}

export function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

/**
 * A uniform number in [0, 1) as a function of (seed, index) alone, so that blocks may have any size: SplitMix64
 * (Steele, Lea, Flood 2014) at the index-th step from the seed, upper 53 bits.
 */
export function uniformAt(seed: number, index: number): number {
  const mask = 0xffff_ffff_ffff_ffffn;
  let x = (mix(BigInt(seed)) + (BigInt(index) + 1n) * 0x9e37_79b9_7f4a_7c15n) & mask;
  x = mix(x);
  return Number(x >> 11n) / 2 ** 53;
}

function mix(value: bigint): bigint {
  const mask = 0xffff_ffff_ffff_ffffn;
  let x = value & mask;
  x = ((x ^ (x >> 30n)) * 0xbf58_476d_1ce4_e5b9n) & mask;
  x = ((x ^ (x >> 27n)) * 0x94d0_49bb_1331_11ebn) & mask;
  return x ^ (x >> 31n);
}
