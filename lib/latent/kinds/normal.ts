import { check, checkValue } from "../../options/check.js";
import { object } from "../../options/describe.js";
import type { Spec } from "../../options/family.js";
import { defineFactorised, dim, readNumbers, size, std } from "./kind.js";

export interface NormalLatent {
  readonly kind: "normal";
  readonly dim: number;
  readonly std: number;
}

const options = object({ dim, std });

/** N(0, std²) in each of `dim` dimensions; `std` is 1 by default. */
function make(dim: number, options?: { std?: number }): NormalLatent {
  const o = check(object({ std }), options, { name: "latent.normal options" });
  return Object.freeze({ kind: "normal", dim: checkValue(size, dim, "dim"), std: o.std });
}

export const normal = defineFactorised({
  kind: "normal",
  is: "N(0, std²) in each dimension",
  options,
  make,
  check: (_: string, { dim, std }: NormalLatent) => make(dim, { std }),
  bound: () => undefined,
  density: ({ dim, std }) => ({
    dim,
    std,
    element: [0, std, -Infinity, Infinity],
    native: { kind: "normal", dim, std },
  }),
  build: ({ dim, std }: Spec<"normal", typeof options>, { size }) => make(dim ?? size, { std }),
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
