/**
 * Fréchet distance between the Gaussians fitted to two sets of feature rows, in float64:
 *
 *   FD = ‖μ₁ − μ₂‖² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁Σ₂)^½
 *
 * (Dowson and Landau 1982; the squared 2-Wasserstein distance of two Gaussians, and the formula of FID). Covariances
 * are unbiased (n − 1). FD of two finite sets of the same distribution is above 0 by a bias that depends on the set
 * sizes, so it is only meaningful beside its floor: FD of two independent sets of the same sizes.
 */
import { ArgumentError } from "../base/errors.js";
import { native } from "../native/binding.js";
import { runJob } from "../native/job.js";
import type { Owned } from "../native/types/values.js";
import type { NativeFeatureInput, NativeFeatureStatistics } from "../native/types/rows.js";

/** n rows of d features, row-major, which nobody outside has. */
export interface Rows {
  readonly data: Float32Array | Float64Array;
  readonly n: number;
  readonly d: number;
}

/** What FD needs of one set; made once, compared with many. */
export type FeatureStatistics = NativeFeatureStatistics;

/**
 * Mean, centred rows and trace of the covariance.
 *
 * @throws ArgumentError for fewer than two rows (no covariance), sizes that disagree, or numbers that are not finite.
 */
export async function featureStatistics(rows: Rows, signal?: AbortSignal): Promise<FeatureStatistics> {
  const { data, n, d } = rows;
  if (data.length !== n * d)
    throw new ArgumentError(`rows: expected ${n} × ${d} numbers, got ${data.length}`, {
      code: "ERR_SHAPE_MISMATCH",
    });
  if (n < 2) throw new ArgumentError(`rows: expected at least 2 rows for a covariance, got ${n}`);
  return runJob("evaluate", signal, () => native().featureStatistics(owned(data), n, d));
}

function owned(data: Rows["data"]): Owned<Float32Array> | Owned<Float64Array> {
  return data instanceof Float32Array ? { owned: data } : { owned: data };
}

/** Σ^½ of sets that something has been compared with. */
const roots = new WeakMap<FeatureStatistics, Float64Array>();

/**
 * FD of two sets of the same number of features; 0 for equal sets, never negative. Symmetric; put the set that is
 * compared with many second.
 *
 * @throws ArgumentError for sets of different numbers of features; AbortError
 */
export async function frechetDistance(
  a: FeatureStatistics,
  b: FeatureStatistics,
  signal?: AbortSignal,
): Promise<number> {
  const known = roots.get(b);
  const { distance, root } = await runJob("evaluate", signal, () =>
    native().frechetDistance(input(a), input(b), known ? { owned: known } : null),
  );
  if (root) roots.set(b, root);
  return distance;
}

function input({ n, d, mean, centred, trace }: FeatureStatistics): NativeFeatureInput {
  return { n, d, mean: { owned: mean }, centred: { owned: centred }, trace };
}

/** Mean Euclidean distance over all pairs of different rows: how unlike one another the rows of a set are. */
export async function meanPairwiseDistance({ data, n, d }: Rows, signal?: AbortSignal): Promise<number> {
  if (n < 2) return NaN;
  return runJob("evaluate", signal, () => native().meanPairwiseDistance(owned(data), n, d));
}
