/** Conditions: what a caller asks for, as the rows [B, m] that translator and energy take. */
import { shapeText } from "../base/check.js";
import { translatorRows } from "./composition.js";
import { native } from "../native/binding.js";
import { runJob } from "../native/job.js";
import type { NativeConditionFault } from "../native/types/rows.js";
import type { ConditionRows } from "./rows.js";
import type { ConditionKind } from "../objective/energy.js";
import { ArgumentError, describe, invalid } from "../base/errors.js";
import { checkTensor, copyTensor, isTensor, type Tensor } from "../base/tensor.js";

/**
 * What samples shall satisfy. One of
 * - a tensor [B, m] for B conditions, or [m] for one; also under the name `embedding`. With crossEntropy() rows are
 *   distributions over classes, with cosine() they are scaled to length 1, and otherwise they are taken as they are;
 * - `class`: a class or several, for an encoder with class scores;
 * - `image`: an image file, several, or a tensor [B, C, H, W] of images, in the generator's range or with a `range` of
 *   their own as readImage() gives it. The condition is the encoder's output for the image;
 * - `text`: one text or several. The condition is the output of the Tr0n's `textEncoder`;
 * - `all`: several of these at once, each with a weight (default 1). The energy is the weighted sum,
 *   E(z) = Σ wᵢ·E(z, cᵢ): with crossEntropy() and weights of 1 the target has p(c₁|x)·p(c₂|x), with cosine() the image
 *   shall be like both. A negative weight moves away from a condition. The sum is not rescaled, so doubled weights act
 *   like a doubled fidelity. A part of one row is combined with each row of the others. This works for energies that are
 *   linear in c: cosine(), crossEntropy() and their sums.
 */
export type Condition =
  | Tensor
  | { readonly class: number | readonly number[] }
  | { readonly embedding: Tensor }
  | { readonly image: string | readonly string[] | Tensor }
  | { readonly text: string | readonly string[] }
  | { readonly all: readonly (Condition | WeightedCondition)[] };

/** A part of `{ all }`: a condition and its weight. */
export interface WeightedCondition {
  readonly condition: Condition;
  /** Default 1. A negative weight moves away from the condition. */
  readonly weight?: number;
}

/** Conditions within conditions that are worth a copy; deeper ones are no conditions. */
const deepest = 16;

/** A condition of its own, down to the numbers. What is none comes back as it is, for others to complain about. */
export function copyCondition(condition: Condition): Condition {
  const copied = (value: unknown, depth: number): unknown => {
    if (value === null || typeof value !== "object" || depth > deepest) return value;
    if (Array.isArray(value)) return value.map((part) => copied(part, depth + 1));
    if (isTensor(value))
      return value.data instanceof Float32Array && Array.isArray(value.shape)
        ? { ...value, ...copyTensor(value) }
        : value;
    if (Object.getPrototypeOf(value) !== Object.prototype) return value;
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, copied(part, depth + 1)]));
  };
  return copied(condition, 0) as Condition;
}

/** Rows may sum to 1 within this. */
const sumTolerance = 1e-3;

/**
 * Conditions of `size` numbers, of a tensor, `{ class }` or `{ embedding }`. They are copied before this returns.
 *
 * @throws ArgumentError for anything that is not one: a class out of range, NaN, no rows, a wrong size, rows that are
 *   no distribution, rows without a direction
 */
export async function conditionRows(
  name: string,
  value: unknown,
  size: number,
  kind: ConditionKind,
  signal?: AbortSignal,
): Promise<ConditionRows> {
  if (value === null || typeof value !== "object")
    throw invalid(name, "a Tensor, { class } or { embedding }", value);
  if ("class" in value) return classRows(`${name}.class`, value.class, size, kind);
  const label = "embedding" in value ? `${name}.embedding` : name;
  const given = "embedding" in value ? value.embedding : value;
  checkTensor(label, given);
  const { shape } = given;
  const columns = shape.at(-1) ?? 0;
  if (shape.length < 1 || shape.length > 2 || columns !== size)
    throw new ArgumentError(
      `${label}: expected the shape [B, ${size}] or [${size}], because the encoder's output has ${size} numbers, got ${shapeText(shape)}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  const count = shape.length === 2 ? shape[0]! : 1;
  if (count === 0) throw new ArgumentError(`${label}: expected at least one condition, got none`);
  const data = new Float32Array(given.data);
  const fault = await runJob("reading conditions", signal, () =>
    native().makeConditions({ owned: data }, count, size, kind),
  );
  if (fault) throw faultError(label, fault);
  return { data, count, size };
}

function faultError(label: string, { what, row, index, value }: NativeConditionFault): ArgumentError {
  switch (what) {
    case "notFinite":
      return new ArgumentError(`${label}: expected finite numbers, got ${value} at index ${index}`);
    case "direction":
      return noDirection(`${label}, row ${row}`, value);
    default:
      return noDistribution(`${label}, row ${row}`, what, value, embeddingHint);
  }
}

function classRows(name: string, value: unknown, size: number, kind: ConditionKind): ConditionRows {
  if (kind !== "probabilities")
    throw new ArgumentError(
      `${name}: classes need energy.crossEntropy(); this energy takes vectors of ${size} numbers as conditions. Where the ` +
        'encoder is a classifier and was taken for an embedding, encoderKind: "logits" or "probabilities" (Tr0n.create) says so',
    );
  const list: unknown[] =
    typeof value === "number" ? [value] : Array.isArray(value) ? (value as unknown[]) : [];
  if (!Array.isArray(value) && typeof value !== "number")
    throw invalid(name, "a class or an array of classes", value);
  if (list.length === 0) throw new ArgumentError(`${name}: expected at least one class, got none`);
  const data = new Float32Array(list.length * size);
  Array.from(list).forEach((item, row) => {
    if (typeof item !== "number" || !Number.isInteger(item) || item < 0 || item >= size)
      throw new ArgumentError(
        `${name}: expected whole numbers 0 … ${size - 1}, because the encoder's output has ${size} scores, got ${describe(item)}`,
      );
    data[row * size + item] = 1;
  });
  return { data, count: list.length, size };
}

/** What is likely wrong where vectors are given for distributions. */
const embeddingHint =
  ". Conditions are distributions over the encoder's classes; where the encoder gives vectors and was taken for a " +
  'classifier, encoderKind: "embedding" (Tr0n.create) says so';

function noDistribution(name: string, what: "negative" | "sum", value: number, hint = ""): ArgumentError {
  return new ArgumentError(
    what === "negative"
      ? `${name}: expected probabilities ≥ 0, got ${value}${hint}`
      : `${name}: expected probabilities that sum to 1, got the sum ${value}${hint}`,
  );
}

function noDirection(name: string, length: number): ArgumentError {
  return new ArgumentError(`${name}: expected a vector with a direction, got the length ${length}`);
}

function checkDistribution(name: string, row: Float32Array): void {
  let sum = 0;
  for (const p of row) {
    if (p < 0) throw noDistribution(name, "negative", p);
    sum += p;
  }
  if (Math.abs(sum - 1) > sumTolerance) throw noDistribution(name, "sum", sum);
}

function normalise(name: string, row: Float32Array): void {
  let square = 0;
  for (const x of row) square += x * x;
  if (!(square > 0) || !Number.isFinite(square)) throw noDirection(name, Math.sqrt(square));
  const scale = 1 / Math.sqrt(square);
  for (let i = 0; i < row.length; i++) row[i]! *= scale;
}

/**
 * The encoder's outputs [n, m] as conditions, in place: what conditionGraph does in a graph, for outputs that come
 * from JavaScript. Those must be probabilities already.
 *
 * @throws ArgumentError naming the row
 */
export function transformOutputs(name: string, data: Float32Array, size: number, kind: ConditionKind): void {
  for (let row = 0; row * size < data.length; row++) {
    const values = data.subarray(row * size, (row + 1) * size);
    for (const x of values)
      if (!Number.isFinite(x)) throw invalid(`${name}, row ${row}`, "finite numbers", x);
    if (kind === "probabilities") checkDistribution(`${name}, row ${row}`, values);
    else if (kind === "unit") normalise(`${name}, row ${row}`, values);
  }
}

/**
 * The random stream of each condition: how many earlier rows of the call have the same contents. So a condition's
 * chains are the same whether it is sampled alone or among others, and a condition that is given twice gets
 * different chains.
 */
export function conditionStreams(
  { data, count, size }: ConditionRows,
  signal?: AbortSignal,
): Promise<Uint32Array> {
  return runJob("reading conditions", signal, () => native().equalRowsBefore({ owned: data }, count, size));
}

/**
 * `points` conditions between two: along the great circle where conditions are vectors (the lengths of sums in equal
 * steps), along the straight line where they are distributions. Weights of `to` go from 0.1 to 0.9 in equal steps; a single point lies in the middle.
 *
 * @throws ArgumentError when the vectors point in opposite directions, between which there is no one circle
 */
export function interpolated(
  from: ConditionRows,
  to: ConditionRows,
  points: number,
  kind: ConditionKind,
): ConditionRows {
  const { size } = from;
  const data = new Float32Array(points * size);
  const angle = kind === "probabilities" ? 0 : angleBetween(from.data, to.data);
  if (Math.PI - angle < 1e-3)
    throw new ArgumentError(
      "to: expected a condition that is not opposite to `from`; between those no path is the shortest",
    );
  // Directions have length 1; sums of them have any.
  const [p, q] = kind === "unit" ? [lengthOf(from.data), lengthOf(to.data)] : [1, 1];
  for (let point = 0; point < points; point++) {
    const t = points === 1 ? 0.5 : 0.1 + (0.8 * point) / (points - 1);
    const flat = angle < 1e-4;
    const a = (flat ? 1 - t : Math.sin((1 - t) * angle) / Math.sin(angle)) / p;
    const b = (flat ? t : Math.sin(t * angle) / Math.sin(angle)) / q;
    const row = data.subarray(point * size, (point + 1) * size);
    for (let i = 0; i < size; i++) row[i] = a * from.data[i]! + b * to.data[i]!;
    if (kind !== "unit") continue;
    const scale = ((1 - t) * p + t * q) / lengthOf(row);
    row.forEach((x, i) => (row[i] = x * scale));
  }
  const sums = from.translator !== undefined || to.translator !== undefined;
  return { data, count: points, size, ...(sums ? { translator: translatorRows(data, size, kind) } : {}) };
}

function lengthOf(row: Float32Array): number {
  return Math.sqrt(row.reduce((sum, x) => sum + x * x, 0));
}

function angleBetween(a: Float32Array, b: Float32Array): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i]! * b[i]!;
    aa += a[i]! ** 2;
    bb += b[i]! ** 2;
  }
  if (aa === 0 || bb === 0) return 0;
  return Math.acos(Math.min(1, Math.max(-1, dot / Math.sqrt(aa * bb))));
}
