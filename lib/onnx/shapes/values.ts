/**
 * Constant propagation for shape arithmetic: the entries of small tensors, row-major, each a number, a symbol
 * (a dimension whose size is only known at run time) or null. An integer that no number holds exactly is a bigint: it can
 * be handed on, compared and cut off at a length, but is no size, and nothing is added to it.
 */
import type { Dim } from "../graph.js";
import { int64Max } from "../int64.js";
import { DataType, holds } from "../tensors.js";

export type Entry = Dim | bigint;

export interface SmallValue {
  dims: number[];
  data: Entry[];
}

/** Larger tensors are not shapes. */
export const maxEntries = 256;

export function allNumbers(value: SmallValue | null): number[] | null {
  return value !== null && value.data.every((entry) => typeof entry === "number")
    ? (value.data as number[])
    : null;
}

export function vector(data: Entry[]): SmallValue {
  return { dims: [data.length], data };
}

/** Entries as sizes: what is too large for a number is none. */
export function asSizes(value: SmallValue | null): Dim[] | null {
  return value && value.data.map((entry) => (typeof entry === "bigint" ? null : entry));
}

/** An entry as a bound of a slice, which may be as large as it likes. */
export function asBound(entry: Entry | undefined): number | bigint | null {
  return typeof entry === "number" || typeof entry === "bigint" ? entry : null;
}

/**
 * A computed value as a type holds it; null where its entries are not modelled. An integer that was rounded on the way, or
 * that the type has no room for and would wrap, is not known.
 */
export function stored(elemType: number, value: SmallValue): SmallValue | null {
  const each = (f: (x: number | bigint) => Entry): SmallValue => ({
    dims: value.dims,
    data: value.data.map((x) => (typeof x === "number" || typeof x === "bigint" ? f(x) : x)),
  });
  switch (elemType) {
    case DataType.FLOAT:
      return each((x) => (typeof x === "number" ? Math.fround(x) : null));
    case DataType.DOUBLE:
      return each((x) => (typeof x === "number" ? x : null));
    case DataType.BOOL:
    case DataType.INT8:
    case DataType.INT16:
    case DataType.INT32:
    case DataType.INT64:
    case DataType.UINT8:
    case DataType.UINT16:
    case DataType.UINT32:
    case DataType.UINT64:
      return each((x) => {
        if (!holds(elemType, x) || (typeof x === "number" && !Number.isSafeInteger(x))) return null;
        // Integers have no −0.
        return x === 0 ? 0 : x;
      });
    default:
      return null;
  }
}

function size(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

/** Elementwise with broadcasting. null when the result is too large or the shapes do not fit. */
export function zip(a: SmallValue, b: SmallValue, f: (x: Entry, y: Entry) => Entry): SmallValue | null {
  const rank = Math.max(a.dims.length, b.dims.length);
  const [p, q] = [padded(a.dims, rank), padded(b.dims, rank)];
  const dims: number[] = [];
  for (let i = 0; i < rank; i++) {
    if (p[i] !== q[i] && p[i] !== 1 && q[i] !== 1) return null;
    dims.push(p[i] === 1 ? q[i]! : p[i]!);
  }
  const count = size(dims);
  if (count > maxEntries) return null;
  const data: Entry[] = [];
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
  const data: Entry[] = [];
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
  const data: Entry[] = [];
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

/** What a slice keeps of an axis. */
interface Cut {
  first: number;
  step: number;
  length: number;
}

const int32Max = 2 ** 31 - 1;

/**
 * What a slice keeps of an axis of the given length. null where that is not certain: backwards, ONNX Runtime takes an end
 * of 2³¹ − 1 or 2⁶³ − 1 for "to the end", and the specification for a place behind the last element.
 */
export function cutOf(
  length: number,
  start: number | bigint,
  end: number | bigint,
  step: number | bigint,
): Cut | null {
  if (step < 0 && (end === int32Max || end === int64Max)) return null;
  if (step == 0) return { first: 0, step: 1, length: 0 };
  // All are cut off at the length, so it does not matter that numbers beyond 2⁵³ are rounded.
  const at = (x: number | bigint, low: number, high: number): number =>
    Math.min(Math.max(Number(x) + (x < 0 ? length : 0), low), high);
  const by = Number(step);
  const [low, high] = by > 0 ? [0, length] : [-1, length - 1];
  const first = at(start, 0, high);
  const kept = Math.max(0, Math.ceil((at(end, low, high) - first) / by));
  // Behind the only element there is no next one, however far away it would be.
  return { first, step: kept > 1 ? by : Math.sign(by), length: kept };
}

/** The positions of a cut, as long as they are few. */
export function positionsOf({ first, step, length }: Cut): number[] | null {
  return length > maxEntries ? null : Array.from({ length }, (_, i) => first + i * step);
}
