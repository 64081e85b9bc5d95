/**
 * Arithmetic on dimensions that may be symbols. A symbol is an opaque name; products are kept in a canonical
 * spelling ("4*batch*n", factors sorted), so that two equal products are equal strings. Symbols that start with
 * "?" are this library's own: a dimension that has no name in the file, but is the same one wherever it appears.
 */
import type { Dim } from "../graph.js";

/** Longer products are given up (null): hostile graphs square a symbol over and over. */
const maxFactors = 6;

/** A stand-in for "*" within a symbol of a file, where it is part of a name and not a product of ours. */
const star = "\u2217";

export function fromFile(dim: Dim): Dim {
  if (typeof dim !== "string") return dim;
  // A leading "?" is reserved, a leading digit would read as a coefficient.
  return /^[?\d]/.test(dim) ? null : dim.replaceAll("*", star);
}

/** The spelling for a file: own symbols have no meaning there. */
export function toFile(dim: Dim): Dim {
  if (typeof dim !== "string") return dim;
  return dim.includes("?") ? null : dim.replaceAll(star, "*");
}

interface Product {
  coefficient: number;
  symbols: string[];
}

function parse(dim: number | string): Product {
  if (typeof dim === "number") return { coefficient: dim, symbols: [] };
  const parts = dim.split("*");
  const first = /^\d+$/.test(parts[0]!) ? Number(parts.shift()) : 1;
  return { coefficient: first, symbols: parts };
}

function format({ coefficient, symbols }: Product): Dim {
  if (!Number.isSafeInteger(coefficient) || symbols.length > maxFactors) return null;
  if (symbols.length === 0 || coefficient === 0) return coefficient;
  return [...(coefficient === 1 ? [] : [coefficient]), ...symbols.sort()].join("*");
}

export function multiply(a: Dim, b: Dim): Dim {
  if (a === 0 || b === 0) return 0;
  if (a === null || b === null) return null;
  const [x, y] = [parse(a), parse(b)];
  return format({ coefficient: x.coefficient * y.coefficient, symbols: [...x.symbols, ...y.symbols] });
}

/** a / b where that is a whole product again, else null. Nothing is divided by what may be zero but itself. */
export function divide(a: Dim, b: Dim): Dim {
  if (a === null || b === null || b === 0) return null;
  const [x, y] = [parse(a), parse(b)];
  const symbols = [...x.symbols];
  for (const symbol of y.symbols) {
    const at = symbols.indexOf(symbol);
    if (at < 0) return null;
    symbols.splice(at, 1);
  }
  return x.coefficient % y.coefficient === 0
    ? format({ coefficient: x.coefficient / y.coefficient, symbols })
    : null;
}

export function product(dims: readonly Dim[]): Dim {
  return dims.reduce<Dim>(multiply, 1);
}

/** Whether two dimensions are the same size for certain. */
export function same(a: Dim, b: Dim): boolean {
  return a !== null && a === b;
}

export function isStatic(dims: readonly Dim[] | null): dims is number[] {
  return dims !== null && dims.every((dim) => typeof dim === "number");
}

/** The shape of an elementwise result (NumPy broadcasting); a dimension that is not certain is `unknown()`. */
export function broadcast(a: readonly Dim[], b: readonly Dim[], unknown: (a: Dim, b: Dim) => Dim): Dim[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const x = axis - (rank - a.length) < 0 ? 1 : a[axis - (rank - a.length)]!;
    const y = axis - (rank - b.length) < 0 ? 1 : b[axis - (rank - b.length)]!;
    if (same(x, y) || y === 1) return x;
    if (x === 1) return y;
    // A fixed size other than 1 decides: the other one is either equal or 1.
    if (typeof x === "number" && typeof y !== "number") return x;
    if (typeof y === "number" && typeof x !== "number") return y;
    return unknown(x, y);
  });
}

/** "[batch, 3, ?]" for messages. */
export function formatDims(dims: readonly Dim[] | null): string {
  return dims === null ? "of unknown rank" : `[${dims.map((dim) => toFile(dim) ?? "?").join(", ")}]`;
}
