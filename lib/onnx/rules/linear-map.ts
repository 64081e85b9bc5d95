/**
 * Linear maps along one axis: y = x ×ₐ M with M [out, in]. Resizing and padding by copies are such maps for every
 * axis, and their gradient is the transposed map, a product with a small constant matrix.
 */
import type { RuleContext } from "./rule.js";

/** M by its entries other than zero, row by row. */
export interface LinearMap {
  rows: number;
  columns: number;
  data: Float64Array;
}

/** A larger matrix is a sign of a broken model: 4096² entries are 64 MB. */
const maxEntries = 1 << 24;

/** Throws when a map of this size would not be worth making. */
export function checkMapSize(c: RuleContext, rows: number, columns: number): void {
  if (!(rows >= 0 && columns >= 0 && rows * columns <= maxEntries))
    throw c.fail(`its map from ${columns} to ${rows} elements is too large`);
}

export function zeroMap(c: RuleContext, rows: number, columns: number): LinearMap {
  checkMapSize(c, rows, columns);
  return { rows, columns, data: new Float64Array(rows * columns) };
}

/** The map that copies element `from[o]` to position `o`. */
export function selection(c: RuleContext, from: readonly number[], columns: number): LinearMap {
  const map = zeroMap(c, from.length, columns);
  from.forEach((column, row) => (map.data[row * columns + column] = 1));
  return map;
}

export function isIdentity(map: LinearMap): boolean {
  return (
    map.rows === map.columns && map.data.every((value, i) => value === (i % (map.columns + 1) === 0 ? 1 : 0))
  );
}

/** The adjoint of the map along `axis`: g [.., out, ..] → [.., in, ..]. */
export function applyTransposed(c: RuleContext, g: string, axis: number, map: LinearMap): string {
  const { b } = c;
  if (isIdentity(map)) return g;
  const rank = c.rank(c.x[0]!);
  if (axis === rank - 1) return b.op("MatMul", [g, matrix(c, map, false)]);
  if (axis === rank - 2) return b.op("MatMul", [matrix(c, map, true), g]);
  const perm = Array.from({ length: rank }, (_, i) => i);
  [perm[axis], perm[rank - 1]] = [rank - 1, axis];
  const moved = b.op("MatMul", [b.op("Transpose", [g], { perm }), matrix(c, map, false)]);
  return b.op("Transpose", [moved], { perm });
}

function matrix({ b, g }: RuleContext, map: LinearMap, transposed: boolean): string {
  const { rows, columns, data } = map;
  if (!transposed) return b.constantLike(data, [rows, columns], g);
  const turned = new Float64Array(data.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      turned[column * rows + row] = data[row * columns + column]!;
  return b.constantLike(turned, [columns, rows], g);
}
