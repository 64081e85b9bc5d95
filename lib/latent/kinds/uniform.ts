import { invalid } from "../../base/errors.js";
import { check, checkValue } from "../../options/check.js";
import { number, object, option } from "../../options/describe.js";
import type { Spec } from "../../options/family.js";
import { defineFactorised, dim, readNumbers, size } from "./kind.js";

export interface UniformLatent {
  readonly kind: "uniform";
  readonly dim: number;
  readonly low: number;
  readonly high: number;
}

const ends = object(
  {
    low: option(number(), "smallest number", { default: -1 }),
    high: option(number(), "largest number", { default: 1 }),
  },
  ({ low, high }, name) => {
    if (!(Number(high) > Number(low)))
      throw invalid(name("high"), `a number above low (${String(low)})`, high);
  },
);
const options = object({ dim, ...ends.form.properties });

/** Uniform on [low, high], by default [-1, 1]. */
function make(dim: number, low = -1, high = 1): UniformLatent {
  const checked = check(ends, { low, high }, { name: "latent.uniform" });
  return Object.freeze({ kind: "uniform", dim: checkValue(size, dim, "dim"), ...checked });
}

export const uniform = defineFactorised({
  kind: "uniform",
  is: "uniform on [low, high] in each dimension",
  options,
  make,
  check: (_: string, { dim, low, high }: UniformLatent) => make(dim, low, high),
  bound: ({ low, high }) => Math.max(Math.abs(low), Math.abs(high)),
  density: ({ dim, low, high }) => ({
    dim,
    std: (high - low) / Math.sqrt(12),
    element: [0, Infinity, low, high],
    native: { kind: "uniform", dim, low, high },
  }),
  build: ({ dim, low, high }: Spec<"uniform", typeof options>, { size }) => make(dim ?? size, low, high),
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
