/**
 * Exact samples of p(z|c) ∝ p(z)·p(c|G(z)) by rejection, for all classes in one pass: z ~ p(z), y ~ p(y|G(z)), and z is
 * kept for class y. That accepts z for class c with probability p(c|G(z)), which is rejection sampling with the prior
 * as proposal; samples are independent, and those of different classes too.
 */
import { concatenate } from "../base/tensor.js";
import { AbortError, ArgumentError } from "../base/errors.js";

/** Rows first … first + n − 1 of an endless list of prior draws, mapped. */
export type DrawRows = (first: number, n: number) => Promise<DrawnRows>;

export interface DrawnRows {
  /** [n, d] */
  readonly latents: Float32Array;
  /** p(y|G(z)), [n, classes] */
  readonly probabilities: Float32Array | Float64Array;
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
  const kept = new Map(classes.map((c) => [c, new ClassRows()]));
  const emptiest = (): number =>
    Math.min(...[...kept.values()].map((rows) => Math.min(rows.accepted, count)));
  let draws = 0;
  for (; emptiest() < count && draws < maxDraws; options.onProgress?.(emptiest(), count)) {
    if (options.signal?.aborted)
      throw new AbortError("rejection sampling", { cause: options.signal.reason as unknown });
    const n = Math.min(block, maxDraws - draws);
    const rows = await draw(draws, n);
    const width = rows.probabilities.length / n;
    for (let i = 0; i < n; i++) {
      const p = rows.probabilities.subarray(i * width, (i + 1) * width);
      kept.get(drawIndex(p, uniformAt(seed, draws + i)))?.add(rows, i, n, argmax(p), count);
    }
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
  private readonly latents: Float32Array[] = [];
  private readonly features: Float32Array[] = [];
  private readonly guesses: number[] = [];

  /** Counts every accepted row, keeps the first `count`. */
  add(rows: DrawnRows, i: number, n: number, guess: number, count: number): void {
    if (this.accepted++ >= count) return;
    this.latents.push(row(rows.latents, i, n));
    this.features.push(row(rows.features, i, n));
    this.guesses.push(guess);
  }

  finish(c: number, draws: number): ExactSet {
    return {
      latents: concatenate(this.latents),
      features: concatenate(this.features),
      hits: Uint8Array.from(this.guesses, (guess) => (guess === c ? 1 : 0)),
      drawsPerSample: draws / this.accepted,
    };
  }
}

function row(data: Float32Array, i: number, n: number): Float32Array {
  const width = data.length / n;
  return data.slice(i * width, (i + 1) * width);
}

export function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

/** softmax of each row in float64, [n, width]. */
export function softmaxRows(logits: Float32Array, width: number): Float64Array {
  const out = Float64Array.from(logits);
  for (let start = 0; start < out.length; start += width) {
    const values = out.subarray(start, start + width);
    const top = values.reduce((a, b) => Math.max(a, b), -Infinity);
    let sum = 0;
    for (let j = 0; j < width; j++) sum += values[j] = Math.exp(values[j]! - top);
    for (let j = 0; j < width; j++) values[j]! /= sum;
  }
  return out;
}

/** Probabilities as they come, [n, width], each row made to sum to 1. */
export function normalisedRows(probabilities: Float32Array, width: number): Float64Array {
  const out = Float64Array.from(probabilities, (p) => Math.max(p, 0));
  for (let start = 0; start < out.length; start += width) {
    const row = out.subarray(start, start + width);
    const sum = row.reduce((a, b) => a + b, 0);
    for (let j = 0; j < width; j++) row[j]! /= sum || 1;
  }
  return out;
}

/** The index at which the cumulated probabilities pass u. */
function drawIndex(probabilities: ArrayLike<number>, u: number): number {
  let left = u;
  for (let j = 0; j < probabilities.length; j++) {
    left -= probabilities[j]!;
    if (left < 0) return j;
  }
  return argmax(probabilities); // rounding left a rest
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
