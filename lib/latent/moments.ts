import { runJob } from "../native/job.js";
import { native } from "../native/binding.js";

/** Mean and standard deviation of every dimension of a prior. */
export interface Moments {
  readonly mean: Float64Array;
  readonly std: Float64Array;
}

/**
 * Moments of the columns of rows [n, dim], which nobody outside has. A column that (nearly) stands still gets a thousandth
 * of the widest one's deviation: a density needs some.
 */
export async function momentsOf(rows: Float32Array, dim: number, signal?: AbortSignal): Promise<Moments> {
  const { mean, std } = await runJob("moments of the latent", signal, () =>
    native().columnMoments({ owned: rows }, rows.length / dim, dim, false),
  );
  const least = Math.max(1e-3 * std.reduce((a, b) => Math.max(a, b), 0), 1e-6);
  return { mean, std: std.map((value) => Math.max(value, least)) };
}
