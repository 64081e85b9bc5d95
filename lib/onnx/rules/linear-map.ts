/**
 * Linear maps along one axis: y = x ×ₐ M with M [out, in]. Resizing and padding by copies are such maps for every
 * axis, and their gradient is the transposed map, a product with a small constant matrix.
 */
import type { Builder } from "../builder.js";
import type { NodeContext } from "./rule.js";

/** M by its entries other than zero, row by row. */
export interface LinearMap {
  rows: number;
  columns: number;
  data: Float64Array;
}

/** A larger matrix is a sign of a broken model: 4096² entries are 64 MB. */
const maxEntries = 1 << 24;

/** Throws when a map of this size would not be worth making. */
export function checkMapSize(c: NodeContext, rows: number, columns: number): void {
  if (!(rows >= 0 && columns >= 0 && rows * columns <= maxEntries))
    throw c.fail(`its map from ${columns} to ${rows} elements is too large`);
}

export function zeroMap(c: NodeContext, rows: number, columns: number): LinearMap {
  checkMapSize(c, rows, columns);
  return { rows, columns, data: new Float64Array(rows * columns) };
}

/** The map that copies element `from[o]` to position `o`. */
export function selection(c: NodeContext, from: readonly number[], columns: number): LinearMap {
  const map = zeroMap(c, from.length, columns);
  from.forEach((column, row) => (map.data[row * columns + column] = 1));
  return map;
}

export function isIdentity(map: LinearMap): boolean {
  return (
    map.rows === map.columns && map.data.every((value, i) => value === (i % (map.columns + 1) === 0 ? 1 : 0))
  );
}

/** The map along `axis`: x [.., in, ..] → [.., out, ..]. */
export function applyMap(c: NodeContext, x: string, axis: number, map: LinearMap): string {
  return isIdentity(map) ? x : multiplied(c, x, axis, (turned) => matrix(c.b, map, !turned, x));
}

/** The adjoint of the map along `axis`: g [.., out, ..] → [.., in, ..]. */
export function applyTransposed(c: NodeContext, g: string, axis: number, map: LinearMap): string {
  return isIdentity(map) ? g : multiplied(c, g, axis, (turned) => matrix(c.b, map, turned, g));
}

/** The product along an axis with a matrix that stands on the right, or turned on the left. */
function multiplied(c: NodeContext, x: string, axis: number, matrix: (turned: boolean) => string): string {
  const { b } = c;
  const rank = c.rank(c.x[0]!);
  if (axis === rank - 1) return b.op("MatMul", [x, matrix(false)]);
  if (axis === rank - 2) return b.op("MatMul", [matrix(true), x]);
  const perm = Array.from({ length: rank }, (_, i) => i);
  [perm[axis], perm[rank - 1]] = [rank - 1, axis];
  const moved = b.op("MatMul", [b.op("Transpose", [x], { perm }), matrix(false)]);
  return b.op("Transpose", [moved], { perm });
}

function matrix(b: Builder, map: LinearMap, transposed: boolean, like: string): string {
  const { rows, columns, data } = map;
  if (!transposed) return b.constantLike(data, [rows, columns], like);
  const turned = new Float64Array(data.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      turned[column * rows + row] = data[row * columns + column]!;
  return b.constantLike(turned, [columns, rows], like);
}
