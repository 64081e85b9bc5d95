/**
 * Constant propagation for shape arithmetic: the entries of small tensors, row-major, each a number, a symbol
 * (a dimension whose size is only known at run time) or null.
 */
import type { Dim } from "../graph.js";

export interface SmallValue {
  dims: number[];
  data: Dim[];
}

/** Larger tensors are not shapes. */
export const maxEntries = 256;

export function allNumbers(value: SmallValue | null): number[] | null {
  return value !== null && value.data.every((entry) => typeof entry === "number")
    ? (value.data as number[])
    : null;
}

export function vector(data: Dim[]): SmallValue {
  return { dims: [data.length], data };
}

function size(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

/** Elementwise with broadcasting. null when the result is too large or the shapes do not fit. */
export function zip(a: SmallValue, b: SmallValue, f: (x: Dim, y: Dim) => Dim): SmallValue | null {
  const rank = Math.max(a.dims.length, b.dims.length);
  const [p, q] = [padded(a.dims, rank), padded(b.dims, rank)];
  const dims: number[] = [];
  for (let i = 0; i < rank; i++) {
    if (p[i] !== q[i] && p[i] !== 1 && q[i] !== 1) return null;
    dims.push(p[i] === 1 ? q[i]! : p[i]!);
  }
  const count = size(dims);
  if (count > maxEntries) return null;
  const data: Dim[] = [];
  for (let flat = 0; flat < count; flat++) {
    let [rest, x, y, strideX, strideY] = [flat, 0, 0, 1, 1];
    for (let i = rank - 1; i >= 0; i--) {
      const at = rest % dims[i]!;
      rest = Math.floor(rest / dims[i]!);
      if (p[i] !== 1) x += at * strideX;
      if (q[i] !== 1) y += at * strideY;
      strideX *= p[i]!;
      strideY *= q[i]!;
    }
    data.push(f(a.data[x]!, b.data[y]!));
  }
  return { dims, data };
}

function padded(dims: readonly number[], rank: number): number[] {
  return [...new Array<number>(rank - dims.length).fill(1), ...dims];
}

/** Rows `picks` along an axis: Gather with a flat index list, and Slice. */
export function take(value: SmallValue, axis: number, picks: readonly number[]): SmallValue | null {
  const at = axis < 0 ? axis + value.dims.length : axis;
  const length = value.dims[at];
  if (length === undefined) return null;
  const before = size(value.dims.slice(0, at));
  const after = size(value.dims.slice(at + 1));
  if (before * after * picks.length > maxEntries) return null;
  const data: Dim[] = [];
  for (let i = 0; i < before; i++)
    for (const pick of picks) {
      const row = pick < 0 ? pick + length : pick;
      if (row < 0 || row >= length) return null;
      for (let j = 0; j < after; j++) data.push(value.data[(i * length + row) * after + j]!);
    }
  return { dims: value.dims.map((dim, i) => (i === at ? picks.length : dim)), data };
}

export function concat(values: readonly SmallValue[], axis: number): SmallValue | null {
  const first = values[0]!;
  const at = axis < 0 ? axis + first.dims.length : axis;
  if (at < 0 || at >= first.dims.length) return null;
  const total = values.reduce((sum, value) => sum + value.data.length, 0);
  if (total > maxEntries || values.some((value) => value.dims.length !== first.dims.length)) return null;
  const before = size(first.dims.slice(0, at));
  const data: Dim[] = [];
  for (let i = 0; i < before; i++)
    for (const value of values) {
      const run = value.data.length / before;
      data.push(...value.data.slice(i * run, (i + 1) * run));
    }
  const length = values.reduce((sum, value) => sum + value.dims[at]!, 0);
  return { dims: first.dims.map((dim, i) => (i === at ? length : dim)), data };
}

export function transpose(value: SmallValue, perm: readonly number[]): SmallValue {
  const dims = perm.map((axis) => value.dims[axis]!);
  const strides = value.dims.map((_, axis) => size(value.dims.slice(axis + 1)));
  const data = value.data.map((_, flat) => {
    let [rest, from] = [flat, 0];
    for (let i = dims.length - 1; i >= 0; i--) {
      from += (rest % dims[i]!) * strides[perm[i]!]!;
      rest = Math.floor(rest / dims[i]!);
    }
    return value.data[from]!;
  });
  return { dims, data };
}

/** The positions a slice keeps of an axis of the given length. */
export function slicePositions(length: number, start: number, end: number, step: number): number[] {
  const clamp = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);
  const from = start < 0 ? start + length : start;
  const to = end < 0 ? end + length : end;
  const positions: number[] = [];
  if (step > 0) for (let i = clamp(from, 0, length); i < clamp(to, 0, length); i += step) positions.push(i);
  else if (step < 0)
    for (let i = clamp(from, 0, length - 1); i > clamp(to, -1, length - 1); i += step) positions.push(i);
  return positions;
}

/** How many positions a slice keeps, without listing them. */
export function sliceLength(length: number, start: number, end: number, step: number): number {
  const clamp = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);
  const from = start < 0 ? start + length : start;
  const to = end < 0 ? end + length : end;
  const span =
    step > 0
      ? clamp(to, 0, length) - clamp(from, 0, length)
      : clamp(to, -1, length - 1) - clamp(from, 0, length - 1);
  return step === 0 ? 0 : Math.max(0, Math.ceil(span / step));
}
