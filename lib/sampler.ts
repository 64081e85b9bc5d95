/** How latents are drawn for a condition: the samplers, their options and their defaults. */
import { checkBoolean, checkChoice, checkInteger, checkNumber, checkOptions } from "./check.js";
import { invalid } from "./errors.js";
import { latentBound, type Latent } from "./latent.js";
import type { NativeSamplerConfig } from "./native.js";

/** Where chains start: one draw of the translator, the mean of its heaviest component, or one draw of the prior. */
export type Start = "translator" | "mode" | "prior";

/** Options of the Metropolis-adjusted Langevin steps. */
export interface MalaOptions {
  /** Steps T; each costs one gradient, and the start one more. */
  steps?: number;
  /**
   * λ, the weight of the energy against the prior: the target is p(z)·exp(−λE). 1 with crossEntropy() is the exact
   * conditional p(z|c); larger values trade diversity for obedience. Default 1.
   */
  fidelity?: number;
  /** First step size h₀. Default 0.1. */
  stepSize?: number;
  /** Accept probability that each chain's step size adapts to. Default 0.57. */
  targetAccept?: number;
  /** The drift is clipped to this norm; 0 switches clipping off. Default 10. */
  maxDrift?: number;
  /** Adapt the step size per chain while sampling. Default true; false is strictly invariant. */
  adapt?: boolean;
}

/** Options of the default sampler. */
export interface ResampleOptions extends MalaOptions {
  /** MALA steps after resampling. Default 4, or 16 where fidelity ≥ 3. 0 needs no gradient. */
  steps?: number;
  /** M, candidates drawn per chain. Default 16. */
  candidates?: number;
  /** M is doubled up to this number while the effective sample size is below `minEss`. Default 256, at least `candidates`. */
  maxCandidates?: number;
  /** The effective sample size that is asked for; 0 never doubles. Default 4. */
  minEss?: number;
  /** α, the share of candidates that come from the prior. Default 0.1. */
  priorFraction?: number;
}

/** Options of plain Langevin dynamics (momentum SGD with noise). */
export interface LangevinOptions {
  /** Steps T. Default 50. */
  steps?: number;
  /** η (`lr_latent` in the paper's code). Default 0.1; the paper uses 5 for BigGAN. */
  learningRate?: number;
  /** Default 0.99. */
  momentum?: number;
  /** σ of the noise added in each step (`sgld_noise_std` in the paper's code). Default 0.01. */
  noise?: number;
  /** Norm to which each chain's gradient is clipped; 0 switches clipping off. Default 1. */
  clip?: number;
  /** Latents are clamped to ±bound after each step; 0 switches it off. Default: the prior's bound, if it has one. */
  bound?: number;
  /** λ, weight of the energy. Default 1. */
  fidelity?: number;
  /** Default "translator". */
  start?: Start;
}

/** Options of the paper's sampler. */
export interface HybridOptions extends Omit<LangevinOptions, "start"> {
  /** Steps T (`num_hybrid_iters` in the paper's code). Default 100. */
  steps?: number;
  /** Adam's rate for the mixture weights. Default 0.005. */
  weightLearningRate?: number;
}

type Filled<T> = { readonly [K in keyof T]-?: T[K] };

/** A sampler with all its options. Plain data. */
export type Sampler =
  | { readonly kind: "resample"; readonly options: Filled<ResampleOptions> }
  | { readonly kind: "mala"; readonly options: Filled<MalaOptions> & { readonly start: Start } }
  | {
      readonly kind: "langevin";
      readonly options: Filled<Omit<LangevinOptions, "bound">> & { readonly bound?: number };
    }
  | {
      readonly kind: "hybrid";
      readonly options: Filled<Omit<HybridOptions, "bound">> & { readonly bound?: number };
    }
  | { readonly kind: "direct"; readonly options: { readonly start: Start } };

/** The largest number of steps: step numbers are 24 bits of the random counter. */
export const maxSteps = 2 ** 24 - 1;
const starts = ["translator", "mode", "prior"] as const;

function mala(o: MalaOptions, steps: number): Filled<MalaOptions> {
  return {
    steps: checkInteger("steps", o.steps, steps, { min: 0, max: maxSteps }),
    fidelity: checkNumber("fidelity", o.fidelity, 1, { min: 0 }),
    stepSize: checkNumber("stepSize", o.stepSize, 0.1, { above: 0 }),
    targetAccept: checkTargetAccept(o.targetAccept),
    maxDrift: checkNumber("maxDrift", o.maxDrift, 10, { min: 0 }),
    adapt: checkBoolean("adapt", o.adapt, true),
  };
}

function checkTargetAccept(value: unknown): number {
  const target = checkNumber("targetAccept", value, 0.57, { above: 0 });
  if (target >= 1) throw invalid("targetAccept", "a number > 0 and < 1", value);
  return target;
}

function langevin(
  o: LangevinOptions,
  steps: number,
): Filled<Omit<LangevinOptions, "bound" | "start">> & { bound?: number } {
  return {
    steps: checkInteger("steps", o.steps, steps, { min: 0, max: maxSteps }),
    learningRate: checkNumber("learningRate", o.learningRate, 0.1, { above: 0 }),
    momentum: checkMomentum(o.momentum),
    noise: checkNumber("noise", o.noise, 0.01, { min: 0 }),
    clip: checkNumber("clip", o.clip, 1, { min: 0 }),
    fidelity: checkNumber("fidelity", o.fidelity, 1, { min: 0 }),
    ...(o.bound === undefined ? {} : { bound: checkNumber("bound", o.bound, 0, { min: 0 }) }),
  };
}

function checkMomentum(value: unknown): number {
  const momentum = checkNumber("momentum", value, 0.99, { min: 0 });
  if (momentum >= 1) throw invalid("momentum", "a number ≥ 0 and < 1", value);
  return momentum;
}

const malaNames = ["steps", "fidelity", "stepSize", "targetAccept", "maxDrift", "adapt"] as const;
const langevinNames = ["steps", "learningRate", "momentum", "noise", "clip", "bound", "fidelity"] as const;

export const sampler = {
  /**
   * The default: importance resampling among draws of the translator and the prior, then a few MALA steps. Its target
   * is p(z)·exp(−λE); the effective sample size it reports says how well the translator covers it.
   */
  resample(options?: ResampleOptions): Sampler {
    const o = checkOptions("sampler.resample options", options, [
      ...malaNames,
      "candidates",
      "maxCandidates",
      "minEss",
      "priorFraction",
    ]);
    const fidelity = checkNumber("fidelity", o.fidelity, 1, { min: 0 });
    const candidates = checkInteger("candidates", o.candidates, 16, { min: 1, max: 2 ** 20 });
    const maxCandidates = checkInteger("maxCandidates", o.maxCandidates, Math.max(256, candidates), {
      min: candidates,
      max: 2 ** 20,
    });
    return Object.freeze({
      kind: "resample",
      options: Object.freeze({
        ...mala(o, fidelity >= 3 ? 16 : 4),
        candidates,
        maxCandidates,
        minEss: checkNumber("minEss", o.minEss, 4, { min: 0 }),
        priorFraction: checkNumber("priorFraction", o.priorFraction, 0.1, { min: 0, max: 1 }),
      }),
    });
  },
  /** MALA from one draw; 20 steps by default. `start`: "translator" (default), "mode" or "prior". */
  mala(options?: MalaOptions & { start?: Start }): Sampler {
    const o = checkOptions("sampler.mala options", options, [...malaNames, "start"]);
    return Object.freeze({
      kind: "mala",
      options: Object.freeze({ ...mala(o, 20), start: checkChoice("start", o.start, "translator", starts) }),
    });
  },
  /** Momentum SGD with noise on one latent a chain, without an accept step. */
  langevin(options?: LangevinOptions): Sampler {
    const o = checkOptions("sampler.langevin options", options, [...langevinNames, "start"]);
    return Object.freeze({
      kind: "langevin",
      options: Object.freeze({
        ...langevin(o, 50),
        start: checkChoice("start", o.start, "translator", starts),
      }),
    });
  },
  /**
   * The paper's sampler: all K component means at once by momentum SGD with noise, their weights by Adam. The latent
   * is the weighted mean.
   */
  hybrid(options?: HybridOptions): Sampler {
    const o = checkOptions("sampler.hybrid options", options, [...langevinNames, "weightLearningRate"]);
    return Object.freeze({
      kind: "hybrid",
      options: Object.freeze({
        ...langevin(o, 100),
        weightLearningRate: checkNumber("weightLearningRate", o.weightLearningRate, 5e-3, { above: 0 }),
      }),
    });
  },
  /** No steps: what the start gives. `start`: "translator" (default), "mode", or "prior" for unconditional samples. */
  direct(options?: { start?: Start }): Sampler {
    const o = checkOptions("sampler.direct options", options, ["start"]);
    return Object.freeze({
      kind: "direct",
      options: Object.freeze({ start: checkChoice("start", o.start, "translator", starts) }),
    });
  },
};

/** @throws ArgumentError unless `value` is one of the above; its options are checked again. */
export function checkSampler(name: string, value: unknown): Sampler {
  const given = value as Sampler | null | undefined;
  if (given === undefined) return sampler.resample();
  if (given !== null && typeof given === "object" && Object.hasOwn(sampler, String(given.kind)))
    return (sampler[given.kind] as (options?: object) => Sampler)(given.options);
  throw invalid(name, `one of sampler.${Object.keys(sampler).join("(), sampler.")}()`, value);
}

/** Steps that will run: the call's own number, else the sampler's. */
export function samplerSteps(chosen: Sampler, steps: number | undefined): number {
  if (chosen.kind === "direct") {
    if (steps !== undefined && steps !== 0)
      throw invalid("steps", "0 or nothing, for sampler.direct() takes no steps", steps);
    return 0;
  }
  return checkInteger("steps", steps, chosen.options.steps, { min: 0, max: maxSteps });
}

/** Whether the sampler reads the translator. */
export function needsTranslator(chosen: Sampler): boolean {
  return !("start" in chosen.options && chosen.options.start === "prior");
}

/**
 * As the addon wants it. `priorTerms` is the summed weight of the energy's prior() terms, null without one: then the
 * weight is 1 for samplers with a target density (resample, mala, direct) and 0 for langevin and hybrid.
 */
export function nativeSampler(
  chosen: Sampler,
  steps: number,
  priorTerms: number | null,
  prior: Latent,
  seed: number,
): NativeSamplerConfig {
  const bound = latentBound(prior) ?? 0;
  const common = { steps, seed: BigInt(seed) };
  switch (chosen.kind) {
    case "resample":
      return {
        ...chosen.options,
        ...common,
        start: "resample",
        kernel: steps > 0 ? "mala" : "none",
        priorWeight: priorTerms ?? 1,
      };
    case "mala":
      return {
        ...chosen.options,
        ...common,
        kernel: steps > 0 ? "mala" : "none",
        priorWeight: priorTerms ?? 1,
      };
    case "langevin":
      return {
        bound,
        ...chosen.options,
        ...common,
        kernel: steps > 0 ? "langevin" : "none",
        priorWeight: priorTerms ?? 0,
      };
    case "hybrid":
      return {
        bound,
        ...chosen.options,
        ...common,
        start: "mode",
        kernel: steps > 0 ? "hybrid" : "none",
        priorWeight: priorTerms ?? 0,
      };
    case "direct":
      return { ...common, start: chosen.options.start, kernel: "none", priorWeight: priorTerms ?? 1 };
  }
}
