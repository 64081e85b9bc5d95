import { checkInteger, checkNumber } from "../../base/check.js";
import { ArgumentError } from "../../base/errors.js";
import { defineFactorised, dims, readNumbers } from "./kind.js";

export interface UniformLatent {
  readonly kind: "uniform";
  readonly dim: number;
  readonly low: number;
  readonly high: number;
}

export interface UniformSpec {
  kind: "uniform";
  dim?: number;
  low?: number;
  high?: number;
}

/** Uniform on [low, high], by default [-1, 1]. */
function make(dim: number, low = -1, high = 1): UniformLatent {
  checkNumber("low", low, 0);
  if (!(checkNumber("high", high, 0) > low))
    throw new ArgumentError(`high: expected a number above low (${low}), got ${high}`);
  return Object.freeze({ kind: "uniform", dim: checkInteger("dim", dim ?? Number.NaN, 0, dims), low, high });
}

export const uniform = defineFactorised({
  kind: "uniform",
  make,
  check: (_: string, { dim, low, high }: UniformLatent) => make(dim, low, high),
  bound: ({ low, high }) => Math.max(Math.abs(low), Math.abs(high)),
  density: ({ dim, low, high }) => ({
    dim,
    std: (high - low) / Math.sqrt(12),
    element: [0, Infinity, low, high],
    native: { kind: "uniform", dim, low, high },
  }),
  build: ({ dim, low, high }: UniformSpec, { size }) => make(dim ?? size, low, high),
  spelling: {
    word: "uniform",
    syntax: "uniform[:DIM[:BOUND]]",
    read: (parts) => {
      const numbers = readNumbers(parts);
      if (!numbers) return null;
      const { second: bound, ...rest } = numbers;
      return { ...rest, ...(bound === undefined ? {} : { low: -bound, high: bound }) };
    },
    bound: { help: "±X (default 1)", set: (_, bound) => ({ low: -bound, high: bound }) },
  },
});
