import { checkNumber } from "../../base/check.js";
import { check, checkValue } from "../../options/check.js";
import { number, object, option } from "../../options/describe.js";
import type { Spec } from "../../options/family.js";
import { defineFactorised, dim, readNumbers, size, std } from "./kind.js";

export interface TruncatedNormalLatent {
  readonly kind: "truncatedNormal";
  readonly dim: number;
  readonly bound: number;
  readonly std: number;
}

const options = object({
  dim,
  std,
  bound: option(number({ above: 0 }), "redrawn beyond ±bound", { default: 2 }),
});

/** N(0, std²), redrawn beyond ±`bound` (in units of z). BigGAN: dim 128, bound 2. */
function make(dim: number, bound: number, options?: { std?: number }): TruncatedNormalLatent {
  const o = check(object({ std }), options, { name: "latent.truncatedNormal options" });
  return Object.freeze({
    kind: "truncatedNormal",
    dim: checkValue(size, dim, "dim"),
    bound: checkNumber("bound", bound ?? Number.NaN, 0, { min: o.std / 100 }),
    std: o.std,
  });
}

/** Var = std²·(1 − 2·b·φ(b) / (2Φ(b) − 1)) with b = bound / std; the mass by Simpson's rule. */
function deviation({ bound, std }: TruncatedNormalLatent): number {
  const b = bound / std;
  if (b > 8) return std;
  const density = (x: number): number => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
  const moment = (f: (x: number) => number): number => {
    const n = 400;
    const h = (2 * b) / n;
    let sum = f(-b) + f(b);
    for (let i = 1; i < n; i++) sum += f(-b + i * h) * (i % 2 === 1 ? 4 : 2);
    return (sum * h) / 3;
  };
  return std * Math.sqrt(moment((x) => x * x * density(x)) / moment(density));
}

export const truncatedNormal = defineFactorised({
  kind: "truncatedNormal",
  is: "N(0, std²) in each dimension, redrawn beyond ±bound",
  options,
  make,
  check: (_: string, { dim, bound, std }: TruncatedNormalLatent) => make(dim, bound, { std }),
  bound: ({ bound }) => bound,
  density: (latent) => {
    const { dim, bound, std } = latent;
    return {
      dim,
      std: deviation(latent),
      element: [0, std, -bound, bound],
      native: { kind: "truncatedNormal", dim, bound, std },
    };
  },
  build: ({ dim, bound, std }: Spec<"truncatedNormal", typeof options>, { size }) =>
    make(dim ?? size, bound ?? 2, { std }),
  spelling: {
    word: "truncated",
    syntax: "truncated[:DIM[:BOUND]]",
    read: (parts) => {
      const numbers = readNumbers(parts);
      if (!numbers) return null;
      const { second: bound, ...rest } = numbers;
      return { ...rest, ...(bound === undefined ? {} : { bound }) };
    },
    bound: { help: "redrawn beyond ±X (default 2)", set: (_, bound) => ({ bound }) },
  },
});
