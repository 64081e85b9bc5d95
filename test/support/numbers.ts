import assert from "node:assert/strict";

/** mulberry32: small, seeded, the same everywhere. Values in [0, 1). */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Uniform float32 numbers in [low, high). */
export function numbers(seed: number, count: number, low = -1, high = 1): Float32Array {
  return Float32Array.from(uniform(random(seed), count, low, high));
}

/** Uniform in [low, high). */
export function uniform(next: () => number, count: number, low = -1, high = 1): Float64Array {
  return Float64Array.from({ length: count }, () => low + (high - low) * next());
}

/** Normal numbers from a seed. */
export function seeded(seed: number): {
  uniform(): number;
  normal(): number;
  normals(n: number): Float32Array;
} {
  const next = random(seed);
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  return { uniform: next, normal, normals: (n) => Float32Array.from({ length: n }, normal) };
}

/** A seed from a text, so that a test's data depend on its name and not on the order of tests. */
export function seedOf(text: string): number {
  let hash = 2166136261;
  for (const char of text) hash = Math.imul(hash ^ char.codePointAt(0)!, 16777619);
  return hash >>> 0;
}

/** ‖a − b‖ / ‖b‖; NaN or a length that differs fails, whatever the bound. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert.equal(actual.length, expected.length, "lengths differ");
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i]! - expected[i]!) ** 2;
    norm += expected[i]! ** 2;
  }
  return Math.sqrt(difference) / (Math.sqrt(norm) || 1);
}

export function assertClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  bound: number,
  what: string,
): void {
  const error = relativeError(actual, expected);
  assert.ok(error <= bound, `${what}: relative error ${error} is above ${bound}`);
}
