import { checkInteger, checkNumber, checkOptions } from "../../base/check.js";
import { defineFactorised, dims, readNumbers } from "./kind.js";

export interface NormalLatent {
  readonly kind: "normal";
  readonly dim: number;
  readonly std: number;
}

export interface NormalSpec {
  kind: "normal";
  dim?: number;
  std?: number;
}

/** N(0, std²) in each of `dim` dimensions; `std` is 1 by default. */
function make(dim: number, options?: { std?: number }): NormalLatent {
  const o = checkOptions("latent.normal options", options, ["std"]);
  return Object.freeze({
    kind: "normal",
    dim: checkInteger("dim", dim ?? Number.NaN, 0, dims),
    std: checkNumber("std", o.std, 1, { above: 0 }),
  });
}

export const normal = defineFactorised({
  kind: "normal",
  make,
  check: (_: string, { dim, std }: NormalLatent) => make(dim, { std }),
  bound: () => undefined,
  density: ({ dim, std }) => ({
    dim,
    std,
    element: [0, std, -Infinity, Infinity],
    native: { kind: "normal", dim, std },
  }),
  build: ({ dim, std }: NormalSpec, { size }) => make(dim ?? size, { std }),
  spelling: {
    word: "normal",
    syntax: "normal[:DIM[:STD]]",
    read: (parts) => {
      const numbers = readNumbers(parts);
      if (!numbers) return null;
      const { second: std, ...rest } = numbers;
      return { ...rest, ...(std === undefined ? {} : { std }) };
    },
  },
});
