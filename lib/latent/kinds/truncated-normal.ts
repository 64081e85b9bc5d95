import { checkInteger, checkNumber, checkOptions } from "../../base/check.js";
import { defineFactorised, dims, readNumbers } from "./kind.js";

export interface TruncatedNormalLatent {
  readonly kind: "truncatedNormal";
  readonly dim: number;
  readonly bound: number;
  readonly std: number;
}

export interface TruncatedNormalSpec {
  kind: "truncatedNormal";
  dim?: number;
  bound?: number;
  std?: number;
}

/** N(0, std²), redrawn beyond ±`bound` (in units of z). BigGAN: dim 128, bound 2. */
function make(dim: number, bound: number, options?: { std?: number }): TruncatedNormalLatent {
  const o = checkOptions("latent.truncatedNormal options", options, ["std"]);
  const std = checkNumber("std", o.std, 1, { above: 0 });
  return Object.freeze({
    kind: "truncatedNormal",
    dim: checkInteger("dim", dim ?? Number.NaN, 0, dims),
    bound: checkNumber("bound", bound ?? Number.NaN, 0, { min: std / 100 }),
    std,
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
  build: ({ dim, bound, std }: TruncatedNormalSpec, { size }) => make(dim ?? size, bound ?? 2, { std }),
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
