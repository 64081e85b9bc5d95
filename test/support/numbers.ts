import assert from "node:assert/strict";

/** A small seeded generator (mulberry32) so that every test's data is its own, whatever the order of tests. */
export function seeded(seed: number): {
  uniform(): number;
  normal(): number;
  normals(n: number): Float32Array;
} {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  return { uniform, normal, normals: (n) => Float32Array.from({ length: n }, normal) };
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
