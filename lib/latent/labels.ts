/**
 * Classes as numbers that samplers can work with. Class k of n is the k-th of n stretches of N(0, 1) that are equally likely;
 * the borders between them are compared with and never computed from, so that every device tells the same class.
 */
import { ArgumentError } from "../base/errors.js";
import type { Builder } from "../onnx/index.js";
import { DataType } from "../onnx/index.js";

/** How an input takes a class. */
export interface LabelInput {
  readonly classes: number;
  /** ONNX's number of the input's type. */
  readonly elemType: number;
  /** A row has a number for each class, of which one is 1; else it has the class's number. */
  readonly oneHot: boolean;
}

const borders = new Map<number, Float32Array>();

/** The n − 1 borders between n classes, ascending. */
export function classBorders(classes: number): Float32Array {
  let found = borders.get(classes);
  if (!found) {
    found = Float32Array.from({ length: classes - 1 }, (_, k) => normalQuantile((k + 1) / classes));
    borders.set(classes, found);
  }
  return found;
}

/** The class that a number stands for: how many borders lie below it. */
export function classOf(code: number, classes: number): number {
  const all = classBorders(classes);
  let [low, high] = [0, all.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (code > all[middle]!) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The number in the middle of a class. @throws ArgumentError for a class that there is not */
export function codeOf(name: string, label: number, classes: number): number {
  if (!Number.isInteger(label) || label < 0 || label >= classes)
    throw new ArgumentError(`${name}: expected a class of 0 … ${classes - 1}, got ${label}`);
  return Math.fround(normalQuantile((label + 0.5) / classes));
}

/** Codes [N, 1] → what the input takes, [N, 1] or [N, classes]. */
export function labelOps(b: Builder, codes: string, { classes, elemType, oneHot }: LabelInput): string {
  const above = b.op("Greater", [codes, b.constant(classBorders(classes), [1, classes - 1], DataType.FLOAT)]);
  const count = b.op("ReduceSum", [b.op("Cast", [above], { to: DataType.FLOAT }), b.ints([1])], {
    keepdims: 1,
  });
  const numbers = oneHot
    ? b.op("Equal", [
        count,
        b.constant(
          Float32Array.from({ length: classes }, (_, k) => k),
          [1, classes],
          DataType.FLOAT,
        ),
      ])
    : count;
  return !oneHot && elemType === DataType.FLOAT ? numbers : b.op("Cast", [numbers], { to: elemType });
}

/** Acklam's rational approximation of the standard normal's quantile: to 1.2e-9 of its size. */
function normalQuantile(p: number): number {
  const a = [
    -39.69683028665376, 220.9460984245205, -275.9285104469687, 138.357751867269, -30.66479806614716,
    2.506628277459239,
  ];
  const b = [
    -54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572,
  ];
  const c = [
    -0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968,
    2.938163982698783,
  ];
  const d = [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416];
  const polynomial = (x: number, coefficients: readonly number[]): number =>
    coefficients.reduce((sum, coefficient) => sum * x + coefficient, 0);
  if (p > 0.5) return -normalQuantile(1 - p);
  if (p < 0.02425) {
    const q = Math.sqrt(-2 * Math.log(p));
    return polynomial(q, c) / polynomial(q, [...d, 1]);
  }
  const q = p - 0.5;
  const r = q * q;
  return (polynomial(r, a) * q) / polynomial(r, [...b, 1]);
}
