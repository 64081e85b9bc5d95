/** Between which numbers pixels lie. */
import { checkNumber, shapeText } from "./check.js";
import { invalid } from "./errors.js";

/** The numbers of black and of white: [-1, 1], [0, 1], [0, 255] or any other two. */
export type Range = readonly [low: number, high: number];

/** What images are taken for that nobody says more about. */
export const defaultRange: Range = Object.freeze([-1, 1] as const);

/** @throws ArgumentError unless `value` is two finite numbers, the smaller one first; undefined where it is */
export function checkRange(name: string, value: unknown): Range | undefined {
  if (value === undefined) return undefined;
  const given = value as Range;
  if (!Array.isArray(value) || value.length !== 2)
    throw invalid(name, "two numbers [low, high], such as [-1, 1], [0, 1] or [0, 255]", value);
  const [low, high] = [checkNumber(`${name}[0]`, given[0], NaN), checkNumber(`${name}[1]`, given[1], NaN)];
  if (!(low < high)) throw invalid(name, "[low, high] with low < high", value);
  return Object.freeze([low, high] as const);
}

export function sameRange(a: Range, b: Range, tolerance = 1e-3): boolean {
  const width = Math.max(a[1] - a[0], b[1] - b[0]);
  return Math.abs(a[0] - b[0]) <= tolerance * width && Math.abs(a[1] - b[1]) <= tolerance * width;
}

export function rangeText([low, high]: Range): string {
  return shapeText([low, high].map((x) => Number(x.toPrecision(3))));
}
