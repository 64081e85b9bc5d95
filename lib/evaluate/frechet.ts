/**
 * Fréchet distance between the Gaussians fitted to two sets of feature rows, in float64:
 *
 *   FD = ‖μ₁ − μ₂‖² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁Σ₂)^½
 *
 * (Dowson and Landau 1982; the squared 2-Wasserstein distance of two Gaussians, and the formula of FID). Covariances
 * are unbiased (n − 1). FD of two finite sets of the same distribution is above 0 by a bias that depends on the set
 * sizes, so it is only meaningful beside its floor: FD of two independent sets of the same sizes.
 */
import { EigenvalueDecomposition, Matrix } from "ml-matrix";
import { ArgumentError } from "../base/errors.js";

/** n rows of d features, row-major. */
export interface Rows {
  readonly data: Float32Array | Float64Array;
  readonly n: number;
  readonly d: number;
}

/** What FD needs of one set; made once, compared with many. */
export interface FeatureStatistics {
  readonly n: number;
  readonly d: number;
  /** [d] */
  readonly mean: Float64Array;
  /** The rows less their mean, [n, d]. */
  readonly centred: Float64Array;
  /** tr Σ */
  readonly trace: number;
}

/**
 * Mean, centred rows and trace of the covariance.
 *
 * @throws ArgumentError for fewer than two rows (no covariance), sizes that disagree, or numbers that are not finite.
 */
export function featureStatistics(rows: Rows): FeatureStatistics {
  const { data, n, d } = rows;
  if (data.length !== n * d)
    throw new ArgumentError(`rows: expected ${n} × ${d} numbers, got ${data.length}`, {
      code: "ERR_SHAPE_MISMATCH",
    });
  if (n < 2) throw new ArgumentError(`rows: expected at least 2 rows for a covariance, got ${n}`);
  const mean = new Float64Array(d);
  for (let i = 0; i < n; i++) for (let j = 0; j < d; j++) mean[j]! += data[i * d + j]!;
  for (let j = 0; j < d; j++) {
    mean[j]! /= n;
    if (!Number.isFinite(mean[j]!))
      throw new ArgumentError(`rows: expected finite numbers, got others in feature ${j}`);
  }
  const centred = new Float64Array(n * d);
  let trace = 0;
  for (let i = 0; i < n; i++)
    for (let j = 0; j < d; j++) {
      const value = data[i * d + j]! - mean[j]!;
      centred[i * d + j] = value;
      trace += value * value;
    }
  return { n, d, mean, centred, trace: trace / (n - 1) };
}

/**
 * FD of two sets of the same number of features; 0 for equal sets, never negative. Symmetric; put the set that is
 * compared with many second.
 */
export function frechetDistance(a: FeatureStatistics, b: FeatureStatistics): number {
  if (a.d !== b.d)
    throw new ArgumentError(`features: expected the same number in both sets, got ${a.d} and ${b.d}`, {
      code: "ERR_SHAPE_MISMATCH",
    });
  let mean = 0;
  for (let j = 0; j < a.d; j++) mean += (a.mean[j]! - b.mean[j]!) ** 2;
  return Math.max(0, mean + a.trace + b.trace - 2 * traceOfRoot(a, b));
}

/**
 * tr (Σ₁Σ₂)^½. With Σ₂ = LLᵀ the eigenvalues of Σ₁Σ₂ are those of the symmetric LᵀΣ₁L, for any such L. Where features
 * are few, L = Σ₂^½ [d, d], kept for the next comparison with the same set; where rows are fewer, L = X₂ᵀ/√(n₂ − 1), and
 * the matrix is the Gram form X₂Σ₁X₂ᵀ/(n₂ − 1): the eigenproblem has the smallest of the three sizes.
 */
function traceOfRoot(a: FeatureStatistics, b: FeatureStatistics): number {
  if (a.n < b.n && a.n < b.d) [a, b] = [b, a];
  let product: Matrix;
  if (b.n < b.d) {
    const cross = asMatrix(b).mmul(asMatrix(a).transpose());
    product = gramOfRows(cross).mul(1 / ((a.n - 1) * (b.n - 1)));
  } else {
    let root = roots.get(b);
    if (!root) roots.set(b, (root = squareRoot(covariance(b))));
    product = root.mmul(covariance(a)).mmul(root);
  }
  let sum = 0;
  for (const value of symmetricEigen(product).realEigenvalues) sum += Math.sqrt(Math.max(0, value));
  return sum;
}

/** Σ^½ of sets that something has been compared with. */
const roots = new WeakMap<FeatureStatistics, Matrix>();

/** Σ [d, d], unbiased. */
export function covariance(s: FeatureStatistics): Matrix {
  const { n, d, centred } = s;
  const sums = new Float64Array(d * d);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < d; j++) {
      const value = centred[i * d + j]!;
      if (value === 0) continue;
      for (let k = j; k < d; k++) sums[j * d + k]! += value * centred[i * d + k]!;
    }
  const out = new Matrix(d, d);
  for (let j = 0; j < d; j++)
    for (let k = j; k < d; k++) {
      const value = sums[j * d + k]! / (n - 1);
      out.set(j, k, value);
      out.set(k, j, value);
    }
  return out;
}

/** The symmetric square root; eigenvalues that rounding made negative count as 0. */
function squareRoot(m: Matrix): Matrix {
  const eigen = symmetricEigen(m);
  const vectors = eigen.eigenvectorMatrix;
  const scaled = vectors.clone();
  eigen.realEigenvalues.forEach((value, j) => scaled.mulColumn(j, Math.sqrt(Math.max(0, value))));
  return scaled.mmul(vectors.transpose());
}

function symmetricEigen(m: Matrix): EigenvalueDecomposition {
  return new EigenvalueDecomposition(m, { assumeSymmetric: true });
}

function asMatrix(s: FeatureStatistics): Matrix {
  return Matrix.from1DArray(s.n, s.d, s.centred);
}

/** M Mᵀ, exactly symmetric. */
function gramOfRows(m: Matrix): Matrix {
  const out = m.mmul(m.transpose());
  for (let i = 0; i < out.rows; i++) for (let j = 0; j < i; j++) out.set(i, j, out.get(j, i));
  return out;
}

/** Mean Euclidean distance over all pairs of different rows: how unlike one another the rows of a set are. */
export function meanPairwiseDistance(rows: Rows): number {
  const { data, n, d } = rows;
  if (n < 2) return NaN;
  let sum = 0;
  for (let i = 0; i < n; i++)
    for (let k = 0; k < i; k++) {
      let square = 0;
      for (let j = 0; j < d; j++) square += (data[i * d + j]! - data[k * d + j]!) ** 2;
      sum += Math.sqrt(square);
    }
  return sum / ((n * (n - 1)) / 2);
}
