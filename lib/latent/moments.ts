/** Mean and standard deviation of every dimension of a prior. */
export interface Moments {
  readonly mean: Float64Array;
  readonly std: Float64Array;
}

/**
 * Moments of the columns of parts [·, dim]. A column that (nearly) stands still gets a thousandth of the widest one's
 * deviation: a density needs some.
 */
export function momentsOf(parts: readonly Float32Array[], dim: number): Moments {
  const count = parts.reduce((sum, part) => sum + part.length, 0) / dim;
  const mean = new Float64Array(dim);
  const std = new Float64Array(dim);
  for (const part of parts) for (let i = 0; i < part.length; i++) mean[i % dim]! += part[i]! / count;
  for (const part of parts)
    for (let i = 0; i < part.length; i++) std[i % dim]! += (part[i]! - mean[i % dim]!) ** 2 / count;
  for (let j = 0; j < dim; j++) std[j] = Math.sqrt(std[j]!);
  const least = Math.max(1e-3 * std.reduce((a, b) => Math.max(a, b), 0), 1e-6);
  return { mean, std: std.map((value) => Math.max(value, least)) };
}
