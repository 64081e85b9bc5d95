/** What the numbers of an encoder's output mean, decided by what they are and by what their output is called. */
import { shapeText } from "../base/check.js";
import type { Decision } from "../base/decisions.js";
import { ArgumentError, ModelError } from "../base/errors.js";
import type { OutputFacts } from "../model/output-facts.js";
import { elementCount } from "../base/tensor.js";

/**
 * - "logits": scores of classes that exclude each other, of which softmax makes probabilities;
 * - "probabilities": of such classes, ≥ 0 with the sum 1;
 * - "log-probabilities": their logarithms;
 * - "embedding": a vector that is taken as it is.
 */
export type EncoderKind = "logits" | "probabilities" | "log-probabilities" | "embedding";

export const encoderKinds = ["logits", "probabilities", "log-probabilities", "embedding"] as const;

/** What rows of an encoder's output look like. */
interface OutputRows {
  readonly rows: number;
  readonly min: number;
  readonly max: number;
  /** Least and largest Σ x, Σ eˣ and ‖x‖ of a row. */
  readonly sum: readonly [number, number];
  readonly expSum: readonly [number, number];
  readonly norm: readonly [number, number];
  /** The axis, counted with the batch's, along which numbers ≥ 0, or their exponentials, sum to 1 everywhere; null where none. */
  readonly distributionAxis: number | null;
}

/** Sums of a row of float16 numbers stray this far from 1. */
const exact = 2e-3;
/** Clipped and smoothed probabilities do this far. */
const near = 0.1;
/** Rounding, as in 1 − p. */
const rounding = 1e-6;

/** Numbers of an output that are looked at: this thread has more to do. */
const looked = 2 ** 20;

/** @param shape [n, …]; of large rows the first ones count */
export function lookAtRows(all: Float32Array, shape: readonly number[]): OutputRows {
  const [given = 0, ...row] = shape;
  const size = elementCount(row);
  const rows = Math.min(given, Math.max(1, Math.floor(looked / size)));
  const data = all.subarray(0, rows * size);
  let [min, max] = [Infinity, -Infinity];
  const range = (): [number, number] => [Infinity, -Infinity];
  const [sum, expSum, norm] = [range(), range(), range()];
  const take = (r: [number, number], x: number): void => {
    if (!(x >= r[0])) r[0] = x;
    if (!(x <= r[1])) r[1] = x;
  };
  for (let i = 0; i < rows; i++) {
    let [s, e, q] = [0, 0, 0];
    for (let j = i * size; j < (i + 1) * size; j++) {
      const x = data[j]!;
      if (x < min) min = x;
      if (x > max) max = x;
      s += x;
      e += Math.exp(x);
      q += x * x;
    }
    take(sum, s);
    take(expSum, e);
    take(norm, Math.sqrt(q));
  }
  return { rows, min, max, sum, expSum, norm, distributionAxis: distributionAxis(data, [rows, ...row]) };
}

function distributionAxis(data: Float32Array, shape: readonly number[]): number | null {
  const negative = data.some((x) => x < -rounding);
  if (negative && data.some((x) => x > rounding)) return null;
  for (const [axis, size] of shape.entries()) {
    if (size < 2) continue;
    const inner = elementCount(shape.slice(axis + 1));
    let sums = true;
    for (let start = 0; sums && start < data.length; start += inner * size)
      for (let at = start; sums && at < start + inner; at++) {
        let total = 0;
        for (let k = 0; k < size; k++) {
          const x = data[at + k * inner]!;
          total += negative ? Math.exp(x) : x;
        }
        sums = Math.abs(total - 1) <= exact;
      }
    if (sums) return axis;
  }
  return null;
}

const within = ([low, high]: readonly [number, number], tolerance: number): boolean =>
  low >= 1 - tolerance && high <= 1 + tolerance;

/** Whether every row is a distribution, or the logarithm of one. */
function isProbabilities({ min, sum }: OutputRows, tolerance = exact): boolean {
  return min >= -rounding && within(sum, tolerance);
}

function isLogProbabilities({ max, expSum }: OutputRows, tolerance = 5 * exact): boolean {
  return max <= rounding && within(expSum, tolerance);
}

export interface KindQuestion {
  readonly role: "encoder" | "pairEncoder";
  readonly model: string;
  readonly output: string;
  /** Shape of one row. */
  readonly row: readonly number[];
  readonly facts: OutputFacts;
  readonly seen: OutputRows;
  /** The energy in use has a cross-entropy (true) or has none (false); undefined where there is no energy yet. */
  readonly crossEntropy: boolean | undefined;
}

export interface DecidedKind {
  readonly kind: EncoderKind;
  /** What is to be told; null where it makes no difference. */
  readonly told: Omit<Decision, "option"> | null;
}

/**
 * Decides where nobody says it.
 *
 * @throws ArgumentError for a softmax over another axis than the classes', where the energy is a cross-entropy or none is given
 */
export function decideKind(question: KindQuestion): DecidedKind {
  const { row, seen, crossEntropy, output, facts } = question;
  const size = elementCount(row);
  // The energy takes the numbers as they are, or there is but one, which no softmax can take.
  if (crossEntropy === false || size < 2) return { kind: crossEntropy ? "logits" : "embedding", told: null };
  const decided = (kind: EncoderKind, reason: string, certain = true): DecidedKind => ({
    kind,
    told: { value: kind, reason, certain },
  });
  const rows = `${seen.rows} rows of ${quoted(question)}`;
  if (isProbabilities(seen)) return decided("probabilities", `${rows} are ≥ 0 and sum to 1`);
  if (isLogProbabilities(seen))
    return decided("log-probabilities", `${rows} are ≤ 0 and their exponentials sum to 1`);
  refuseOtherAxis(question);
  const isMap = row.filter((side) => side > 1).length > 1;
  const named = nameSays(output, facts);
  if (crossEntropy === undefined) {
    if (isMap)
      return decided(
        "embedding",
        `${quoted(question)} is a map ${shapeText(row)} and no list of classes`,
        named !== "logits",
      );
    if (within(seen.norm, exact)) return decided("embedding", `${rows} have the length 1`);
    if (named === "embedding") return decided("embedding", `its output is called ${JSON.stringify(output)}`);
  }
  if (seen.min >= -rounding && within(seen.sum, near) && seen.max <= 1 + rounding)
    return decided(
      "probabilities",
      `${rows} are ≥ 0 and sum to ${span(seen.sum)}, which is nearly 1: "logits" would take a softmax of them`,
      false,
    );
  if (facts.maker === "Sigmoid" && (crossEntropy || named === "logits"))
    return { kind: "logits", told: null };
  if (seen.max <= rounding && seen.expSum[1] <= 1 + near && !/logit/i.test(output))
    return decided(
      "logits",
      `${rows} are ≤ 0 and their exponentials sum to ${span(seen.expSum)}: log-probabilities that do not sum to 1, which ` +
        "log-softmax makes sum to 1",
      false,
    );
  const unlike = unlikeItsName(question);
  if (unlike !== null) return decided("logits", unlike, false);
  if (crossEntropy)
    return decided(
      "logits",
      `the energy is a cross-entropy and ${rows} are neither probabilities nor their logarithms`,
      !(seen.min >= -rounding && seen.max <= 1 + rounding),
    );
  if (named === "logits")
    return decided(
      "logits",
      facts.classifier
        ? `${question.model} is a classifier by its class's name, and ${rows} are no probabilities`
        : `its output is called ${JSON.stringify(output)}, and ${rows} are no probabilities`,
    );
  const scores = facts.linear && size % 64 !== 0;
  const numbers = `${quoted(question)} has ${size} numbers`;
  const difference =
    'as "logits" conditions are classes and the energy is crossEntropy(), as "embedding" they are vectors and it is cosine()';
  return decided(
    scores ? "logits" : "embedding",
    `${numbers} ${facts.linear ? "from a linear layer" : `from ${facts.maker ?? "an unknown operator"}`}, ` +
      `${scores ? "as class scores have" : "as embeddings have"}, and neither they nor its name say more; ${difference}`,
    false,
  );
}

/**
 * Checks what the caller says against what the rows are, and returns what should be told all the same.
 *
 * @throws ArgumentError for rows that cannot be what they are said to be
 */
export function checkKind(
  kind: EncoderKind,
  question: KindQuestion,
  option: string,
): Omit<Decision, "option"> | null {
  const { seen, crossEntropy, row } = question;
  const fail = (what: string, advice: string): ArgumentError =>
    new ArgumentError(
      `${option}: "${kind}" was given, but ${seen.rows} rows of ${quoted(question)} ${what}; ${advice}`,
    );
  if (kind === "embedding") {
    if (crossEntropy)
      throw new ArgumentError(
        `${option}: "embedding" was given, but the energy has a crossEntropy(), which is of classes; give another energy, or ` +
          'encoderKind: "logits" or "probabilities"',
      );
    return null;
  }
  if (elementCount(row) < 2) return null; // what the energy needs is checked with the energy
  if (kind === "probabilities" && !isProbabilities(seen, near)) {
    refuseOtherAxis(question);
    throw seen.min < -rounding
      ? fail(
          `reach down to ${short(seen.min)}`,
          isLogProbabilities(seen) ? 'pass "log-probabilities"' : 'pass "logits" where they are scores',
        )
      : fail(
          `sum to ${span(seen.sum)}`,
          'pass "logits" where they are scores; for labels that do not exclude each other, energy.squaredError() or ' +
            "energy.fromOnnx() with a binary cross-entropy",
        );
  }
  if (kind === "log-probabilities" && !isLogProbabilities(seen, near)) {
    refuseOtherAxis(question);
    throw seen.max > rounding
      ? fail(`reach up to ${short(seen.max)}`, 'pass "logits" where they are scores')
      : fail(
          `have exponentials that sum to ${span(seen.expSum)}`,
          'pass "logits", of which log-softmax makes log-probabilities that sum to 1',
        );
  }
  if (kind === "logits" && isProbabilities(seen))
    return {
      value: "logits",
      reason:
        `it was given, although ${seen.rows} rows of ${quoted(question)} are ≥ 0 and sum to 1, so that this is a softmax of ` +
        'probabilities; "probabilities" takes them as they are',
      certain: false,
    };
  return null;
}

/** What versions before there was a choice took the scores of a cross-entropy for. */
export function formerKind(facts: OutputFacts): EncoderKind {
  return facts.maker === "Softmax" ? "probabilities" : "logits";
}

/** The file was trained on a softmax of probabilities: what that means is worth a warning. */
export function formerKindTold(question: KindQuestion, kind: EncoderKind): Omit<Decision, "option"> | null {
  if (kind !== "logits" || question.crossEntropy !== true || !isProbabilities(question.seen)) return null;
  return {
    value: kind,
    reason:
      `the file is of a version that took them so, although ${question.seen.rows} rows of ${quoted(question)} are ` +
      "≥ 0 and sum to 1: its translator knows a softmax of probabilities. Train it again",
    certain: false,
  };
}

/** Distributions of pixels, or across the batch, are no distribution of an image's class. */
function refuseOtherAxis({ role, model, output, row, facts, seen, crossEntropy }: KindQuestion): void {
  if (crossEntropy === false) return;
  const option = role === "encoder" ? "encoderKind" : "pairEncoder";
  const axis = seen.distributionAxis;
  const softmax = facts.maker === "Softmax" || facts.maker === "LogSoftmax";
  if (axis === null && !softmax) return;
  if (axis !== null && axis > 0 && row[axis - 1] === elementCount(row)) return; // it is that of the classes
  const shape = shapeText(["batch", ...row]);
  const found =
    axis === 0
      ? "its numbers sum to 1 across the batch instead of across classes, so that an image's result depends on the others"
      : axis === null
        ? `it ends in ${facts.maker} over something else than the classes of an image: rows sum to ` +
          span(facts.maker === "LogSoftmax" ? seen.expSum : seen.sum)
        : `along axis ${axis} of ${shape} its numbers sum to 1, so it is a distribution at each of ` +
          `${elementCount(row) / row[axis - 1]!} places, as of a segmentation, and not one for the image`;
  throw new ArgumentError(
    `${option}: output ${JSON.stringify(output)} of ${model} cannot be taken for the classes of an image: ${found}. Export the ` +
      'model with class scores [batch, classes] at its end, a mean over the places for instance; or pass encoderKind: "embedding" ' +
      "to take the numbers as they are (cosine, squared error), or an energy of your own by energy.fromOnnx()",
    { code: "ERR_SHAPE_MISMATCH" },
  );
}

/** "logits" where the name speaks of classes, "embedding" where it speaks of vectors. */
function nameSays(output: string, { classifier }: OutputFacts): "logits" | "embedding" | null {
  if (classifier) return "logits";
  const scores = /logit|prob|class|score/i.test(output);
  const vector = /embed|feature|latent|hidden|pool|vector|descriptor|representation|token|pre_?logit/i.test(
    output,
  );
  // "pre_logits", "class_token" and "classifier_features" speak of both, and say nothing.
  return scores === vector ? null : scores ? "logits" : "embedding";
}

/** What is wrong with an output called probabilities that are none; null where its name promises nothing. */
function unlikeItsName({ output, seen, ...question }: KindQuestion): string | null {
  if (!/prob|softmax/i.test(output)) return null;
  return (
    `${quoted({ output, seen, ...question })} is called so, but ${seen.rows} rows of it lie in ` +
    `[${short(seen.min)}, ${short(seen.max)}] and sum to ${span(seen.sum)}, which probabilities do not`
  );
}

const short = (x: number): string => String(Number(x.toPrecision(3)));
const span = ([low, high]: readonly [number, number]): string =>
  short(low) === short(high) ? short(low) : `${short(low)} … ${short(high)}`;
const quoted = ({ output, model }: KindQuestion): string => `output ${JSON.stringify(output)} of ${model}`;

/** @throws ModelError where a row has a number that is not finite; −∞ is the logarithm of 0 */
export function checkFiniteRows(role: string, model: string, data: Float32Array): void {
  const bad = data.find((x) => Number.isNaN(x) || x === Infinity);
  if (bad !== undefined)
    throw new ModelError("ERR_RUN_FAILED", `${role}: ${model} gives ${bad} for an image of the generator`);
}
