import assert from "node:assert/strict";
import { Matrix, inverse } from "ml-matrix";
import {
  featureStatistics,
  frechetDistance,
  meanPairwiseDistance,
  type FeatureStatistics,
  type Rows,
} from "../../lib/evaluate/frechet.js";

/** 2r rows ±a_j e_j + mean, r = a's length: the sample mean is `mean`, the covariance exactly diag(2a_j²/(2r − 1)). */
function axisRows(a: number[], mean: number[], d = mean.length): Rows {
  const n = 2 * a.length;
  const data = new Float64Array(n * d);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < d; j++)
      data[i * d + j] = mean[j]! + (j === i >> 1 ? (i % 2 === 0 ? 1 : -1) * a[j]! : 0);
  return { data, n, d };
}

/** The Fréchet distance of N(m₁, diag v₁) and N(m₂, diag v₂). */
function diagonal(m1: number[], v1: number[], m2: number[], v2: number[]): number {
  return m1.reduce(
    (sum, m, j) => sum + (m - m2[j]!) ** 2 + (Math.sqrt(v1[j] ?? 0) - Math.sqrt(v2[j] ?? 0)) ** 2,
    0,
  );
}

const fraction = (x: number): number => Math.abs(x) % 1;

/** The rows of the SciPy script below. */
function correlatedRows(n: number, d: number, seed: number): Rows {
  const u = (i: number, j: number, k: number): number =>
    fraction(Math.sin(12.9898 * (i + 1) + 78.233 * (j + 1) + 37.719 * k) * 43758.5453) - 0.5;
  const data = new Float64Array(n * d);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < d; j++) {
      const before = u(i, (j + d - 1) % d, seed);
      data[i * d + j] =
        u(i, j, seed) + 0.8 * before * (1 + 0.1 * seed) + (0.3 * u(i, j, seed + 100) * j) / d + 0.05 * seed;
    }
  return { data, n, d };
}

/** Σ, unbiased. */
function covariance({ centred, n, d }: FeatureStatistics): Matrix {
  const rows = Matrix.from1DArray(n, d, [...centred]);
  return rows
    .transpose()
    .mmul(rows)
    .div(n - 1);
}

async function distance(a: Rows, b: Rows): Promise<number> {
  return frechetDistance(await featureStatistics(a), await featureStatistics(b));
}

function close(actual: number, expected: number, relative: number): void {
  assert.ok(Math.abs(actual - expected) <= relative * Math.abs(expected), `${actual} is not ${expected}`);
}

describe("frechet", () => {
  it("is the closed form for diagonal covariances", async () => {
    const a = [1, 2, 0.5, 3];
    const b = [2, 0.25, 0.5, 1];
    const ma = [0, 1, -2, 0.5];
    const mb = [1, 1, 0, -0.5];
    const variance = (s: number[]): number[] => s.map((x) => (2 * x * x) / (2 * s.length - 1));
    close(
      await distance(axisRows(a, ma), axisRows(b, mb)),
      diagonal(ma, variance(a), mb, variance(b)),
      1e-12,
    );
  });

  it("is the closed form where there are fewer rows than features", async () => {
    const d = 30;
    const mean = (x: number): number[] => Array.from({ length: d }, (_, j) => (j === d - 1 ? x : 0));
    const a = [1, 2, 3];
    const b = [4, 1, 0.5, 2]; // sets of different sizes, so that the two covariances have different ranks
    const va = a.map((x) => (2 * x * x) / 5);
    const vb = b.map((x) => (2 * x * x) / 7);
    const expected = diagonal(mean(0), va, mean(3), vb);
    close(await distance(axisRows(a, mean(0)), axisRows(b, mean(3))), expected, 1e-12);
    close(await distance(axisRows(b, mean(3)), axisRows(a, mean(0))), expected, 1e-12);
  });

  it("agrees with SciPy on correlated features", async () => {
    // d = a.mean(0) - b.mean(0); d @ d + trace(cov(a.T) + cov(b.T) - 2 * sqrtm(cov(a.T) @ cov(b.T)))
    close(await distance(correlatedRows(60, 7, 1), correlatedRows(90, 7, 2)), 0.06173518339210338, 1e-9);
    close(await distance(correlatedRows(12, 20, 1), correlatedRows(15, 20, 2)), 2.4108485524681953, 1e-7);
  });

  it("agrees with a square root found by Newton's iteration, which needs no eigenvalues", async () => {
    const a = await featureStatistics(correlatedRows(60, 6, 3));
    const b = await featureStatistics(correlatedRows(80, 6, 4));
    // Denman and Beavers: Y → A^½, Z → A^−½.
    let y = covariance(a).mmul(covariance(b));
    let z = Matrix.eye(6);
    for (let i = 0; i < 30; i++)
      [y, z] = [Matrix.add(y, inverse(z)).mul(0.5), Matrix.add(z, inverse(y)).mul(0.5)];
    const shift = a.mean.reduce((sum, m, j) => sum + (m - b.mean[j]!) ** 2, 0);
    close(await frechetDistance(a, b), shift + a.trace + b.trace - 2 * y.trace(), 1e-9);
  });

  it("is 0 for a set and itself, symmetric, and moves with the mean alone under a shift", async () => {
    const rows = correlatedRows(50, 8, 1);
    const other = correlatedRows(70, 8, 2);
    assert.ok((await distance(rows, rows)) < 1e-12);
    close(await distance(rows, other), await distance(other, rows), 1e-10);
    const shifted = { ...rows, data: rows.data.map((x) => x + 0.25) };
    close(await distance(rows, shifted), 8 * 0.25 ** 2, 1e-9);
  });

  it("stays finite for features that never vary", async () => {
    const constant: Rows = { data: new Float64Array(40).fill(3), n: 10, d: 4 };
    assert.ok((await distance(constant, constant)) < 1e-12);
    const varied = correlatedRows(10, 4, 1);
    assert.ok(Number.isFinite(await distance(constant, varied)));
  });

  it("refuses sets that have no covariance or do not fit", async () => {
    await assert.rejects(featureStatistics({ data: new Float64Array(3), n: 1, d: 3 }), {
      code: "ERR_INVALID_ARGUMENT",
    });
    await assert.rejects(featureStatistics({ data: new Float64Array(5), n: 2, d: 3 }), {
      code: "ERR_SHAPE_MISMATCH",
    });
    await assert.rejects(featureStatistics({ data: Float64Array.of(1, NaN, 2, 3), n: 2, d: 2 }), {
      code: "ERR_INVALID_ARGUMENT",
    });
    await assert.rejects(distance(correlatedRows(9, 3, 1), correlatedRows(9, 4, 1)), {
      code: "ERR_SHAPE_MISMATCH",
    });
  });

  it("averages the distances of all pairs", async () => {
    // 3-4-5 triangle
    close(await meanPairwiseDistance({ data: Float64Array.of(0, 0, 3, 0, 0, 4), n: 3, d: 2 }), 4, 1e-15);
    assert.ok(Number.isNaN(await meanPairwiseDistance({ data: Float64Array.of(1, 2), n: 1, d: 2 })));
  });
});
