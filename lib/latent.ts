/** Priors p(z) over a generator's latent. */
import { checkInteger, checkNumber, checkOptions } from "./check.js";
import { ArgumentError } from "./errors.js";
import type { NativePrior } from "./native.js";

/** A factorised prior over `dim` numbers. Plain data: it can be compared, logged and stored. */
export type Latent =
  | { readonly kind: "normal"; readonly dim: number; readonly std: number }
  | { readonly kind: "truncatedNormal"; readonly dim: number; readonly bound: number; readonly std: number }
  | { readonly kind: "uniform"; readonly dim: number; readonly low: number; readonly high: number };

const dims = { min: 1, max: 2 ** 24 };

export const latent = {
  /** N(0, std²) in each of `dim` dimensions; `std` is 1 by default. */
  normal(dim: number, options?: { std?: number }): Latent {
    const o = checkOptions("latent.normal options", options, ["std"]);
    return Object.freeze({
      kind: "normal",
      dim: checkInteger("dim", dim ?? Number.NaN, 0, dims),
      std: checkNumber("std", o.std, 1, { above: 0 }),
    });
  },
  /** N(0, std²), redrawn beyond ±`bound` (in units of z). BigGAN: dim 128, bound 2. */
  truncatedNormal(dim: number, bound: number, options?: { std?: number }): Latent {
    const o = checkOptions("latent.truncatedNormal options", options, ["std"]);
    const std = checkNumber("std", o.std, 1, { above: 0 });
    return Object.freeze({
      kind: "truncatedNormal",
      dim: checkInteger("dim", dim ?? Number.NaN, 0, dims),
      bound: checkNumber("bound", bound ?? Number.NaN, 0, { min: std / 100 }),
      std,
    });
  },
  /** Uniform on [low, high], by default [-1, 1]. */
  uniform(dim: number, low = -1, high = 1): Latent {
    checkNumber("low", low, 0);
    if (!(checkNumber("high", high, 0) > low))
      throw new ArgumentError(`high: expected a number above low (${low}), got ${high}`);
    return Object.freeze({
      kind: "uniform",
      dim: checkInteger("dim", dim ?? Number.NaN, 0, dims),
      low,
      high,
    });
  },
};

/**
 * Checks a latent that came from a caller or a file and gives it back as one of the above.
 *
 * @throws ArgumentError
 */
export function checkLatent(name: string, value: unknown): Latent {
  const given = value as Latent | null;
  switch (given !== null && typeof given === "object" ? given.kind : undefined) {
    case "normal": {
      const { dim, std } = given as Latent & { kind: "normal" };
      return latent.normal(dim, { std });
    }
    case "truncatedNormal": {
      const { dim, bound, std } = given as Latent & { kind: "truncatedNormal" };
      return latent.truncatedNormal(dim, bound, { std });
    }
    case "uniform": {
      const { dim, low, high } = given as Latent & { kind: "uniform" };
      return latent.uniform(dim, low, high);
    }
    default:
      throw new ArgumentError(
        `${name}: expected one of latent.normal(dim), latent.truncatedNormal(dim, bound) or latent.uniform(dim, low, high)`,
      );
  }
}

/** As the addon wants it. */
export function nativePrior(prior: Latent): NativePrior {
  return { ...prior };
}

/** The standard deviation of one dimension, where a translator's log-std starts. */
export function latentStd(prior: Latent): number {
  switch (prior.kind) {
    case "normal":
      return prior.std;
    case "uniform":
      return (prior.high - prior.low) / Math.sqrt(12);
    case "truncatedNormal": {
      // Var = std²·(1 − 2·b·φ(b) / (2Φ(b) − 1)) with b = bound / std; the mass by Simpson's rule.
      const b = prior.bound / prior.std;
      if (b > 8) return prior.std;
      const density = (x: number): number => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
      const moment = (f: (x: number) => number): number => {
        const n = 400;
        const h = (2 * b) / n;
        let sum = f(-b) + f(b);
        for (let i = 1; i < n; i++) sum += f(-b + i * h) * (i % 2 === 1 ? 4 : 2);
        return (sum * h) / 3;
      };
      return prior.std * Math.sqrt(moment((x) => x * x * density(x)) / moment(density));
    }
  }
}

/** The half-width of the prior's support around 0; undefined where it has none. */
export function latentBound(prior: Latent): number | undefined {
  switch (prior.kind) {
    case "normal":
      return undefined;
    case "truncatedNormal":
      return prior.bound;
    case "uniform":
      return Math.max(Math.abs(prior.low), Math.abs(prior.high));
  }
}
