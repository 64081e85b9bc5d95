/** How latents are drawn for a condition: the samplers, their options and their defaults. */
import { checkChoice, checkInteger, checkNumber, checkOptions } from "../base/check.js";
import { ArgumentError, invalid } from "../base/errors.js";
import { groupBound, latentBound, latentGroups, type Latent } from "../latent/latent.js";
import type { NativeSamplerConfig, NativeUpdateGroup } from "../native/types/sampling.js";
import { stepSizeAt, type StepSize } from "./step-sizes.js";

/**
 * Where chains start: one draw of the translator, the mean of its heaviest component, or one draw of the prior. What the
 * translator puts beyond a bounded prior's support is moved to the nearest point of it.
 */
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
  /**
   * First step size h₀, in units of the prior: steps are made in coordinates u in which the prior is N(0, I), so that a number
   * means the same for every latent (z = mean + std·u for normals). "auto" (default): what training found for the
   * translator (TrainReport.pilot), between its fidelities along a straight line of logarithms; without such
   * findings 1 / (d^⅓ / 1.36 + λ) for d dimensions.
   */
  stepSize?: number | "auto";
  /** Accept probability that each chain's step size adapts to. Default 0.57. */
  targetAccept?: number;
  /**
   * The energy's part of the drift, λ·∂E/∂u, is clipped to this norm; 0 switches clipping off. The prior's part is never
   * clipped. "auto" (default): the larger of 10 and 1.25·√d. The target is the same with any.
   */
  maxDrift?: number | "auto";
  /**
   * true (default) adapts the step size of each chain while it samples. false leaves it as it is. "pilot" adapts it in a run
   * of four chains of each condition before, with random numbers of their own, and keeps it then: both are strictly
   * invariant.
   */
  adapt?: boolean | "pilot";
  /** Steps of the pilot run. Default 50. */
  pilotSteps?: number;
}

/** Options of the default sampler. */
export interface ResampleOptions extends MalaOptions {
  /** MALA steps after resampling, in each round. Default 4, or 16 where fidelity ≥ 3. 0 needs no gradient. */
  steps?: number;
  /**
   * Rounds of resampling and steps. From the second on the present state is one of the candidates, beside as many fresh
   * ones as in the first, which leaves the target as it is. Default 1.
   */
  rounds?: number;
  /** M, candidates drawn per chain. Default 16. */
  candidates?: number;
  /** M is doubled up to this number while the effective sample size is below `minEss`. Default 256, at least `candidates`. */
  maxCandidates?: number;
  /** The effective sample size that is asked for; 0 never doubles. Default 4. */
  minEss?: number;
  /** α, the share of candidates that come from the prior. Default 0.1. */
  priorFraction?: number;
}

/** How the numbers of one group of a latent.product() move. What is left out is the sampler's. */
export interface GroupUpdate {
  /**
   * "sgld": momentum SGD with noise; "adam": Adam (0.9, 0.999); "fixed": not at all. Default "sgld", for tables and the
   * translator's auxiliary group "adam".
   */
  rule?: "sgld" | "adam" | "fixed";
  /** Default for "adam": 0.005. */
  learningRate?: number;
  /** Of "sgld" alone. */
  momentum?: number;
  /** Default for "adam": 0. */
  noise?: number;
  /** Norm to which the group's gradient is clipped in each chain; 0 switches it off. */
  clip?: number;
  /** Default: the group's own bound, if it has one. */
  bound?: number;
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
  /** Rules of a latent.product()'s groups, by the generator's inputs. Each group's gradient is clipped by its own norm. */
  groups?: Record<string, GroupUpdate>;
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

/** What a sampler takes from the latent where it is left out. */
interface Open {
  readonly bound?: number;
  readonly groups?: Readonly<Record<string, GroupUpdate>>;
}

/** A sampler with all its options. Plain data. */
export type Sampler =
  | { readonly kind: "resample"; readonly options: Filled<ResampleOptions> }
  | { readonly kind: "mala"; readonly options: Filled<MalaOptions> & { readonly start: Start } }
  | {
      readonly kind: "langevin";
      readonly options: Filled<Omit<LangevinOptions, "bound" | "groups">> & Open;
    }
  | {
      readonly kind: "hybrid";
      readonly options: Filled<Omit<HybridOptions, "bound" | "groups">> & Open;
    }
  | { readonly kind: "direct"; readonly options: { readonly start: Start } };

/** The largest number of steps: step numbers are 24 bits of the random counter. */
export const maxSteps = 2 ** 24 - 1;
const starts = ["translator", "mode", "prior"] as const;

function mala(o: MalaOptions, steps: number): Filled<MalaOptions> {
  return {
    steps: checkInteger("steps", o.steps, steps, { min: 0, max: maxSteps }),
    fidelity: checkNumber("fidelity", o.fidelity, 1, { min: 0 }),
    stepSize: checkAuto("stepSize", o.stepSize, { above: 0 }),
    targetAccept: checkTargetAccept(o.targetAccept),
    maxDrift: checkAuto("maxDrift", o.maxDrift, { min: 0 }),
    adapt: o.adapt === "pilot" ? o.adapt : checkAdapt(o.adapt),
    pilotSteps: checkInteger("pilotSteps", o.pilotSteps, 50, { min: 1, max: maxSteps }),
  };
}

/** A number, or "auto" as the default. */
function checkAuto(name: string, value: unknown, range: { above?: number; min?: number }): number | "auto" {
  if (value === undefined || value === "auto") return "auto";
  if (typeof value !== "number") throw invalid(name, 'a number or "auto"', value);
  return checkNumber(name, value, 0, range);
}

function checkAdapt(value: unknown): boolean {
  if (value !== undefined && typeof value !== "boolean")
    throw invalid("adapt", 'true, false or "pilot"', value);
  return value ?? true;
}

function checkTargetAccept(value: unknown): number {
  const target = checkNumber("targetAccept", value, 0.57, { above: 0 });
  if (target >= 1) throw invalid("targetAccept", "a number > 0 and < 1", value);
  return target;
}

function langevin(
  o: LangevinOptions,
  steps: number,
): Filled<Omit<LangevinOptions, "bound" | "groups" | "start">> & Open {
  return {
    steps: checkInteger("steps", o.steps, steps, { min: 0, max: maxSteps }),
    learningRate: checkNumber("learningRate", o.learningRate, 0.1, { above: 0 }),
    momentum: checkMomentum(o.momentum),
    noise: checkNumber("noise", o.noise, 0.01, { min: 0 }),
    clip: checkNumber("clip", o.clip, 1, { min: 0 }),
    fidelity: checkNumber("fidelity", o.fidelity, 1, { min: 0 }),
    ...(o.bound === undefined ? {} : { bound: checkNumber("bound", o.bound, 0, { min: 0 }) }),
    ...(o.groups === undefined ? {} : { groups: checkGroups(o.groups) }),
  };
}

function checkMomentum(value: unknown, name = "momentum"): number {
  const momentum = checkNumber(name, value, 0.99, { min: 0 });
  if (momentum >= 1) throw invalid(name, "a number ≥ 0 and < 1", value);
  return momentum;
}

function checkGroups(groups: Record<string, GroupUpdate>): Readonly<Record<string, GroupUpdate>> {
  if (groups === null || typeof groups !== "object" || Array.isArray(groups))
    throw invalid("groups", "update rules by the generator's inputs", groups);
  return Object.fromEntries(
    Object.entries(groups).map(([input, given]) => {
      const name = `groups.${input}`;
      const o = checkOptions(name, given, ["rule", "learningRate", "momentum", "noise", "clip", "bound"]);
      checkChoice(`${name}.rule`, o.rule, "sgld", ["sgld", "adam", "fixed"]);
      checkNumber(`${name}.learningRate`, o.learningRate, 1, { above: 0 });
      if (o.momentum !== undefined && o.rule !== undefined && o.rule !== "sgld")
        throw new ArgumentError(`${name}.momentum: expected none with the rule ${o.rule}, got ${o.momentum}`);
      checkMomentum(o.momentum, `${name}.momentum`);
      for (const key of ["noise", "clip", "bound"] as const)
        checkNumber(`${name}.${key}`, o[key], 0, { min: 0 });
      return [input, Object.freeze({ ...o })];
    }),
  );
}

const malaNames = [
  "steps",
  "fidelity",
  "stepSize",
  "targetAccept",
  "maxDrift",
  "adapt",
  "pilotSteps",
] as const;
const langevinNames = [
  "steps",
  "learningRate",
  "momentum",
  "noise",
  "clip",
  "bound",
  "fidelity",
  "groups",
] as const;

export const sampler = {
  /**
   * The default: importance resampling among draws of the translator and the prior, then a few MALA steps. Its target
   * is p(z)·exp(−λE); the effective sample size it reports says how well the translator covers it. Of an auxiliary group
   * candidates are draws of a normal about the head's output, with the deviations that it had on the pairs held out.
   */
  resample(options?: ResampleOptions): Sampler {
    const o = checkOptions("sampler.resample options", options, [
      ...malaNames,
      "rounds",
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
        rounds: checkInteger("rounds", o.rounds, 1, { min: 1, max: 4096 }),
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
   * is the weighted mean. The translator's auxiliary group is one vector a chain.
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

/** Whether chains start at draws of the prior. */
export function startsAtPrior(chosen: Sampler): boolean {
  return "start" in chosen.options && chosen.options.start === "prior";
}

/** Whether the sampler reads the translator. */
export function needsTranslator(chosen: Sampler): boolean {
  return !startsAtPrior(chosen);
}

/** Rules of a latent's groups, in their order; none where one rule moves all of it. */
function updateGroups(
  o: (Sampler & { kind: "langevin" | "hybrid" })["options"],
  prior: Latent,
  auxiliary: string | undefined,
): NativeUpdateGroup[] | undefined {
  const groups = latentGroups(prior);
  const given = o.groups ?? {};
  for (const name of Object.keys(given))
    if (!groups.some((group) => group.name === name))
      throw new ArgumentError(
        `groups: expected ${prior.kind === "product" ? `some of ${groups.map((group) => group.name).join(", ")}` : "none, for the latent is no product"}, got ${name}`,
      );
  if (prior.kind !== "product" && prior.kind !== "table") return undefined;
  return groups.map(({ name, latent: group }) => {
    const own = (name === null ? undefined : given[name]) ?? {};
    const rule =
      own.rule ?? (group.kind === "table" || (name !== null && name === auxiliary) ? "adam" : "sgld");
    return {
      size: group.dim,
      rule,
      learningRate: own.learningRate ?? (rule === "adam" ? 5e-3 : o.learningRate),
      momentum: own.momentum ?? o.momentum,
      noise: own.noise ?? (rule === "adam" ? 0 : o.noise),
      clip: own.clip ?? o.clip,
      bound: own.bound ?? o.bound ?? groupBound(group) ?? 0,
    };
  });
}

/** Options as the addon wants them, which knows what to do where a number is left out. */
function nativeMala<T extends Filled<MalaOptions>>(
  options: T,
  found: readonly StepSize[],
): Omit<T, "stepSize" | "maxDrift"> & { stepSize?: number | undefined; maxDrift?: number | undefined } {
  const { stepSize, maxDrift, ...rest } = options;
  return {
    ...rest,
    stepSize: stepSize === "auto" ? stepSizeAt(found, options.fidelity) : stepSize,
    maxDrift: maxDrift === "auto" ? undefined : maxDrift,
  };
}

/**
 * As the addon wants it. `priorTerms` is the summed weight of the energy's prior() terms, null without one: then the
 * weight is 1 for samplers with a target density (resample, mala, direct) and 0 for langevin and hybrid. `auxiliary` is the
 * group of the translator's auxiliary head, `found` MALA's step sizes of its training.
 */
export function nativeSampler(
  chosen: Sampler,
  steps: number,
  priorTerms: number | null,
  prior: Latent,
  seed: number,
  auxiliary?: string,
  found: readonly StepSize[] = [],
): NativeSamplerConfig {
  const bound = latentBound(prior) ?? 0;
  const common = { steps, seed: BigInt(seed) };
  switch (chosen.kind) {
    case "resample":
      return {
        ...nativeMala(chosen.options, found),
        ...common,
        start: "resample",
        kernel: steps > 0 ? "mala" : "none",
        priorWeight: priorTerms ?? 1,
      };
    case "mala":
      return {
        ...nativeMala(chosen.options, found),
        ...common,
        kernel: steps > 0 ? "mala" : "none",
        priorWeight: priorTerms ?? 1,
      };
    case "langevin":
      return {
        bound,
        ...chosen.options,
        ...common,
        groups: updateGroups(chosen.options, prior, auxiliary),
        kernel: steps > 0 ? "langevin" : "none",
        priorWeight: priorTerms ?? 0,
      };
    case "hybrid":
      return {
        bound,
        ...chosen.options,
        ...common,
        groups: updateGroups(chosen.options, prior, auxiliary),
        start: "mode",
        kernel: steps > 0 ? "hybrid" : "none",
        priorWeight: priorTerms ?? 0,
      };
    case "direct":
      return { ...common, start: chosen.options.start, kernel: "none", priorWeight: priorTerms ?? 1 };
  }
}
