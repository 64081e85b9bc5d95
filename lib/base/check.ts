/** Checks of what callers pass. Each throws an ArgumentError that names the option, what was expected and what came. */
import { randomBytes } from "node:crypto";
import { ArgumentError, describe, invalid } from "./errors.js";

/**
 * An options object, or `{}` for undefined. Unknown names are refused: a misspelt option must not be ignored.
 *
 * @throws ArgumentError when it is not a plain object or has a name that is not in `known`.
 */
export function checkOptions<T extends object>(
  name: string,
  value: T | undefined,
  known: readonly (keyof T & string)[],
): T {
  if (value === undefined) return {} as T;
  if (value === null || typeof value !== "object" || Array.isArray(value) || ArrayBuffer.isView(value))
    throw invalid(name, "an object", value);
  for (const key of Object.keys(value))
    if (!(known as readonly string[]).includes(key))
      throw new ArgumentError(`${name}: unknown option ${describe(key)}; known are ${known.join(", ")}`);
  return value;
}

interface Range {
  /** Smallest allowed value. */
  min?: number;
  /** Largest allowed value. */
  max?: number;
  /** Values must lie above this one. */
  above?: number;
}

function words(kind: string, range: Range): string {
  const parts: string[] = [];
  if (range.min !== undefined) parts.push(`≥ ${range.min}`);
  if (range.above !== undefined) parts.push(`> ${range.above}`);
  if (range.max !== undefined) parts.push(`≤ ${range.max}`);
  return parts.length > 0 ? `${kind} ${parts.join(" and ")}` : kind;
}

function inside(value: number, range: Range): boolean {
  return (
    (range.min === undefined || value >= range.min) &&
    (range.max === undefined || value <= range.max) &&
    (range.above === undefined || value > range.above)
  );
}

/** A finite number in the range; `fallback` for undefined. */
export function checkNumber(name: string, value: unknown, fallback: number, range: Range = {}): number {
  if (value === undefined) return fallback;
  if (typeof value !== "number" || !Number.isFinite(value) || !inside(value, range))
    throw invalid(name, words("a finite number", range), value);
  return value;
}

/** A safe integer in the range; `fallback` for undefined. */
export function checkInteger(name: string, value: unknown, fallback: number, range: Range = {}): number {
  if (value === undefined) return fallback;
  if (typeof value !== "number" || !Number.isSafeInteger(value) || !inside(value, range))
    throw invalid(name, words("an integer", range), value);
  return value;
}

/** One of a list of words; `fallback` for undefined. */
export function checkChoice<T extends string>(
  name: string,
  value: unknown,
  fallback: T,
  choices: readonly T[],
): T {
  if (value === undefined) return fallback;
  if (!choices.includes(value as T))
    throw invalid(name, `one of ${choices.map((choice) => `"${choice}"`).join(", ")}`, value);
  return value as T;
}

export function checkFunction(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== "function") throw invalid(name, "a function", value);
}

/** A path: a string that is not empty and has no NUL. */
export function checkPath(name: string, value: unknown): asserts value is string {
  if (typeof value !== "string" || value === "" || value.includes("\0"))
    throw invalid(name, "a path: a string that is not empty", value);
}

export function checkSignal(name: string, value: unknown): asserts value is AbortSignal | undefined {
  if (value !== undefined && !(value instanceof AbortSignal)) throw invalid(name, "an AbortSignal", value);
}

/** Seeds are integers 0 … 2⁵³ − 1; undefined draws one. */
export function checkSeed(name: string, value: unknown): number {
  if (value === undefined) return randomSeed();
  return checkInteger(name, value, 0, { min: 0, max: Number.MAX_SAFE_INTEGER });
}

/** A random integer below 2⁵³. */
export function randomSeed(): number {
  const bytes = randomBytes(8);
  return Number(bytes.readBigUInt64LE() >> 11n);
}

/** "[2, 3, null]" with ? for unknown dimensions. */
export function shapeText(shape: readonly (number | string | null)[]): string {
  return `[${shape.map((dim) => dim ?? "?").join(", ")}]`;
}
