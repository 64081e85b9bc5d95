/** The table of shape rules, and what they share. */
import type { Dim } from "../graph.js";
import type { InferContext } from "./context.js";

export type ShapeRule = (c: InferContext) => void;

/** Shape rules by operator type. */
export const operators = new Map<string, ShapeRule>();

export function define(names: string, rule: ShapeRule): void {
  for (const name of names.split(" ")) operators.set(name, rule);
}

/** An axis counted from the front, or null when it does not exist. */
export function normalAxis(axis: number, rank: number): number | null {
  const from = axis < 0 ? axis + rank : axis;
  return Number.isInteger(from) && from >= 0 && from < rank ? from : null;
}

/** For {@link broadcast}: the size of two sizes of which one may be 1, the same one for the same two. */
export const merge =
  (c: InferContext) =>
  (a: Dim, b: Dim): Dim =>
    a === null || b === null ? null : c.derive(`max(${[a, b].sort().join(",")})`);

export const sameAsInput: ShapeRule = (c) => c.set(0, c.type(0).elemType, c.dims(0));

export const finite = (value: number): Dim => (Number.isFinite(value) ? value : null);

/** The rank that a vector of sizes promises, with nothing known of the sizes. */
export function rankOnly(vectorDims: readonly Dim[] | null): Dim[] | null {
  const rank = vectorDims?.length === 1 ? vectorDims[0] : null;
  return typeof rank === "number" && rank <= 64 ? new Array<Dim>(rank).fill(null) : null;
}

/** Dimensions with some axes reduced: kept as 1, or dropped. */
export function reduceDims(dims: readonly Dim[], axes: readonly (number | null)[], keep: boolean): Dim[] {
  return keep ? dims.map((dim, i) => (axes.includes(i) ? 1 : dim)) : dims.filter((_, i) => !axes.includes(i));
}
