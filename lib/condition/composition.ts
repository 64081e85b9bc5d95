/**
 * Several conditions at once. The energies add up, E(z) = Σ wᵢ·E(z, cᵢ), and where E is linear in c (cosine, cross-entropy)
 * that is E(z, Σ wᵢ·cᵢ): one condition, neither a direction of length 1 nor a distribution. The translator, which has only
 * ever seen those, is fed with the nearest thing that is one.
 */
import type { ConditionRows } from "./rows.js";
import type { ConditionKind } from "../objective/energy.js";
import { ArgumentError } from "../base/errors.js";

/** A sum is taken for 0 where it is this much smaller than its parts. */
const cancelled = 1e-6;

/**
 * Σ wᵢ·cᵢ, row by row; a part of one row counts for every row.
 *
 * @throws ArgumentError for parts of different numbers of rows, and where they cancel each other out
 */
export function weightedSum(
  name: string,
  parts: readonly { readonly rows: ConditionRows; readonly weight: number }[],
  kind: ConditionKind,
): ConditionRows {
  const count = Math.max(...parts.map(({ rows }) => rows.count));
  const { size } = parts[0]!.rows;
  const sum = new Float64Array(count * size);
  const magnitude = new Float64Array(count);
  parts.forEach(({ rows, weight }, index) => {
    if (rows.count !== count && rows.count !== 1)
      throw new ArgumentError(
        `${name}[${index}]: expected ${count} conditions, as another part has, or one for all, got ${rows.count}`,
        { code: "ERR_SHAPE_MISMATCH" },
      );
    for (let row = 0; row < count; row++)
      for (let i = 0, from = rows.count === 1 ? 0 : row * size; i < size; i++) {
        const term = weight * rows.data[from + i]!;
        sum[row * size + i]! += term;
        magnitude[row] = Math.max(magnitude[row]!, Math.abs(term));
      }
  });
  for (let row = 0; row < count; row++)
    if (!sum.subarray(row * size, (row + 1) * size).some((x) => Math.abs(x) > cancelled * magnitude[row]!))
      throw new ArgumentError(
        `${name}: expected conditions that do not cancel each other out, in row ${row}`,
      );
  const data = Float32Array.from(sum, (x) => x + 0);
  return { data, count, size, translator: translatorRows(data, size, kind) };
}

/**
 * What the translator is fed with in the place of sums [B, m]: their directions; or, of class weights, what is positive,
 * scaled to sum 1, and where nothing is, the classes that are pushed away from least, equally.
 */
export function translatorRows(data: Float32Array, size: number, kind: ConditionKind): Float32Array {
  const rows = Float32Array.from(data);
  for (let at = 0; at < rows.length; at += size) {
    const row = rows.subarray(at, at + size);
    const top = row.reduce((a, b) => Math.max(a, b), -Infinity);
    if (kind === "probabilities")
      row.forEach((x, i) => (row[i] = top > 0 ? Math.max(x, 0) : x === top ? 1 : 0));
    let scale = 0;
    for (const x of row) scale += kind === "probabilities" ? x : x * x;
    if (kind !== "probabilities") scale = Math.sqrt(scale);
    row.forEach((x, i) => (row[i] = x / scale));
  }
  return rows;
}
