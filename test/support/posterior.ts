/** The posterior of a linear generator with a normal prior and a squared error, in closed form. */
import assert from "node:assert/strict";
import type { Samples } from "../../lib/index.js";
import type { Matrix } from "./latents.js";

/** Solves p·x = r for every column of r by Gauss–Jordan elimination. */
function solve(p: Matrix, r: Matrix): number[][] {
  const rows = p.map((row, i) => [...row, ...r[i]!]);
  for (let i = 0; i < rows.length; i++) {
    const pivot = rows[i]![i]!;
    rows[i] = rows[i]!.map((value) => value / pivot);
    for (let k = 0; k < rows.length; k++)
      if (k !== i) rows[k] = rows[k]!.map((value, j) => value - rows[k]![i]! * rows[i]![j]!);
  }
  return rows.map((row) => row.slice(p.length));
}

/** The posterior ∝ N(x; mean, std²)·exp(−‖x·M − c‖²): its precision is diag(1/std²) + 2·M·Mᵀ. */
export function posterior(m: Matrix, mean: number[], std: number[], c: number[]) {
  const d = m.length;
  const dot = (p: readonly number[], q: readonly number[]): number =>
    p.reduce((sum, v, i) => sum + v * q[i]!, 0);
  const precision = m.map((row, i) =>
    m.map((other, j) => 2 * dot(row, other) + (i === j ? std[i]! ** -2 : 0)),
  );
  const right = m.map((row, i) => [2 * dot(row, c) + mean[i]! / std[i]! ** 2]);
  const identity = Array.from({ length: d }, (_, i) =>
    Array.from({ length: d }, (_, j) => (i === j ? 1 : 0)),
  );
  return { mean: solve(precision, right).map(([value]) => value!), covariance: solve(precision, identity) };
}

/** Moments of samples within five standard errors of the exact ones. */
export function assertPosterior({ latents }: Samples, exact: ReturnType<typeof posterior>): void {
  const [n, d] = latents.shape as [number, number];
  const at = (i: number, j: number): number => latents.data[i * d + j]!;
  const mean = exact.mean.map((_, j) =>
    Array.from({ length: n }, (_, i) => at(i, j)).reduce((s, v) => s + v / n, 0),
  );
  for (let j = 0; j < d; j++) {
    const variance = exact.covariance[j]![j]!;
    assert.ok(
      Math.abs(mean[j]! - exact.mean[j]!) < 5 * Math.sqrt(variance / n),
      `mean ${j}: ${mean[j]} ${exact.mean[j]}`,
    );
    for (let k = 0; k <= j; k++) {
      let sum = 0;
      for (let i = 0; i < n; i++) sum += ((at(i, j) - mean[j]!) * (at(i, k) - mean[k]!)) / n;
      const limit = 7 * Math.sqrt((variance * exact.covariance[k]![k]!) / n);
      assert.ok(Math.abs(sum - exact.covariance[j]![k]!) < limit, `covariance ${j}, ${k}: ${sum}`);
    }
  }
}
