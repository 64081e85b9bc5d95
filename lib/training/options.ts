/** What training is told: its options, their defaults and their checks. */
import { checkAuxiliaryName, withoutAuxiliary, type AuxiliaryGroup } from "../translator/auxiliary.js";
import {
  checkBoolean,
  checkChoice,
  checkFunction,
  checkInteger,
  checkNumber,
  checkOptions,
  checkPath,
  checkSeed,
  checkSignal,
} from "../base/check.js";
import { invalid } from "../base/errors.js";
import { checkNoise, type ConditionNoise } from "../translator/noise.js";
import type { Objective } from "../objective/objective.js";
import { checkArchitecture, type Space, type Stds } from "../translator/shape.js";
import { mean } from "./validation.js";
import type { TrainProgress } from "./report.js";

export interface TrainOptions {
  /** How many pairs to make, or a folder from generatePairs(). Default 50,000; 20,000 or more are recommended. */
  pairs?: number | string;
  /**
   * Settings that the other options start from. "recommended" (default): 6 epochs, batches of 256, rate 1e-3, alpha 1,
   * log standard deviations that start at the prior's. "official": the paper's 10 epochs, batches of 16, rate 1e-4, alpha
   * 1e-4, log standard deviations that start at log 0.01; on far fewer pairs than the paper's million, so that it
   * finishes, and the fit is too narrow for it. With `translator.auxiliary` "official" is the paper's loss for BigGAN, and
   * "recommended" has another `alpha`.
   */
  preset?: "recommended" | "official";
  /**
   * What a pair's latent is held against. "nll" (default): −log q(z|c). "mse": the mean squared error of a deterministic
   * translator, a point for each condition in the place of a density; resampling has no use for it, and other samplers
   * start from the point. "cosine": −cos(c, f(G(z'))) of a relaxed draw z' of the mixture (Gumbel-softmax weights,
   * reparameterised normals), through the gradient of generator and encoder, one for each pair and epoch; for
   * embeddings only.
   */
  loss?: "nll" | "mse" | "cosine";
  /** Temperature of the relaxed draws of "cosine": towards 0 they pick one component. Default 1. */
  temperature?: number;
  epochs?: number;
  batchSize?: number;
  /** Adam's rate at the start; it falls to 0 along a cosine. */
  learningRate?: number;
  /** Norm to which the whole gradient is clipped; 0 switches it off. Default 1. */
  clip?: number;
  /**
   * Weight of the loss on the latent; an auxiliary head's mean squared error has weight 1. Default of "recommended": 1
   * without such a head. With one 2v/n, v being the variance of the group's n numbers under the prior: then the sum is
   * (times a factor) the negative log-likelihood of both groups, of y under a normal of variance v about the head's
   * output. Likewise for the loss "mse"; 1 for "cosine".
   */
  alpha?: number;
  /** Where the log standard deviations start. */
  initialLogStd?: number;
  /**
   * Start from the pairs' moments: the means' layer at the mean and in units of the deviation of each dimension of
   * their latents, and the standard deviations (without `initialLogStd`) at those. For latents whose scale is not
   * known beforehand; for N(0, I) it changes next to nothing. Default false.
   */
  calibrate?: boolean;
  /** How many pairs are held out to choose the best epoch by. Default a tenth, at most 2,000. */
  heldOut?: number;
  /** Stop when the held-out loss has not been lower for so many epochs. Default: never. */
  patience?: number;
  /**
   * A file that is written atomically at the end of each epoch and about every `checkpointSeconds`, and when the call is
   * aborted. If it is there already, training goes on from it with the same result as an uninterrupted run; without a
   * `seed` option the file's seed is used. It stays when training ends.
   */
  checkpoint?: string;
  /** Default 30. */
  checkpointSeconds?: number;
  /** Decides pairs, first weights, order, labels and noise. Default: the Tr0n's own seed. */
  seed?: number;
  onProgress?: (progress: TrainProgress) => void;
  signal?: AbortSignal;
}

/** What of the translator `Tr0n.create` can be told. */
export interface TranslatorSettings {
  /** K. Default 10. */
  components?: number;
  /** h. Default 4 × the condition's size. */
  hidden?: number;
  /** Residual blocks. Default 1, the paper's. */
  depth?: number;
  /** One vector of standard deviations for all components (default), or one for each: "component". */
  stds?: Stds;
  /** Names of the heads' tensors in files: z_… (default), or w_… as the paper's code has them for mapped latents. */
  space?: Space;
  /**
   * Name of one group of a latent.product(), such as BigGAN's class embeddings "y", that the translator regresses: a
   * head of its own gives one y for each condition, trained by mean squared error, and the mixture covers the other
   * groups. Chains start at that y, and the hybrid sampler moves it as one vector. Default: none, the mixture covers all.
   */
  auxiliary?: string;
  /** Component means stay within ±bound; 0 leaves them free. Default: the bound of the latent that the mixture covers, if it has one. */
  bound?: number;
  /** Noise on conditions while training. Default none. */
  conditionNoise?: ConditionNoise;
}

export const translatorNames = [
  "components",
  "hidden",
  "depth",
  "stds",
  "space",
  "auxiliary",
  "bound",
  "conditionNoise",
] as const satisfies readonly (keyof TranslatorSettings)[];

const optionNames = [
  "pairs",
  "preset",
  "loss",
  "temperature",
  "epochs",
  "batchSize",
  "learningRate",
  "clip",
  "alpha",
  "initialLogStd",
  "calibrate",
  "heldOut",
  "patience",
  "checkpoint",
  "checkpointSeconds",
  "seed",
  "onProgress",
  "signal",
] as const;
const presets = {
  recommended: { epochs: 6, batchSize: 256, learningRate: 1e-3, alpha: 1 },
  official: { epochs: 10, batchSize: 16, learningRate: 1e-4, alpha: 1e-4 },
} as const;
const defaultPairs = 50_000;
/** Fewer pairs leave nothing to hold out. */
export const minPairs = 20;

/** The options with their defaults. */
export type TrainSettings = ReturnType<typeof checkTrainOptions>;

/** @throws ArgumentError */
export function checkTrainOptions(
  options: TrainOptions | undefined,
  objective: Objective,
  auxiliary: AuxiliaryGroup | null = null,
) {
  const o = checkOptions("options", options, optionNames);
  const preset = checkChoice("preset", o.preset, "recommended", ["recommended", "official"]);
  const defaults = presets[preset];
  let pairs: number | string;
  if (typeof o.pairs === "string") {
    checkPath("pairs", o.pairs);
    pairs = o.pairs;
  } else if (o.pairs !== undefined && typeof o.pairs !== "number")
    throw invalid("pairs", "a number of pairs or a folder", o.pairs);
  else pairs = checkInteger("pairs", o.pairs, defaultPairs, { min: minPairs, max: 2 ** 32 - 1 });
  if (o.checkpoint !== undefined) checkPath("checkpoint", o.checkpoint);
  checkFunction("onProgress", o.onProgress);
  checkSignal("signal", o.signal);
  const loss = checkChoice("loss", o.loss, "nll", ["nll", "mse", "cosine"]);
  if (o.temperature !== undefined && loss !== "cosine")
    throw invalid("temperature", `nothing, for it is of the loss "cosine" and not "${loss}"`, o.temperature);
  if (loss === "cosine") objective.requireGradient('loss: "cosine"', 'the loss "nll" needs none');
  const calibrated = checkBoolean("calibrate", o.calibrate, false);
  const logStds =
    preset === "official"
      ? [Math.log(0.01)]
      : Array.from(withoutAuxiliary(objective.source.stds, auxiliary), Math.log);
  const uniform = logStds.every((value) => value === logStds[0]);
  const startLogStd = uniform ? logStds[0]! : logStds.reduce((sum, value) => sum + value / logStds.length, 0);
  return {
    pairs,
    epochs: checkInteger("epochs", o.epochs, defaults.epochs, { min: 1, max: 2 ** 20 }),
    batchSize: checkInteger("batchSize", o.batchSize, defaults.batchSize, { min: 1, max: 2 ** 20 }),
    learningRate: checkNumber("learningRate", o.learningRate, defaults.learningRate, { above: 0 }),
    clip: checkNumber("clip", o.clip, 1, { min: 0 }),
    alpha: checkNumber(
      "alpha",
      o.alpha,
      preset === "recommended" && auxiliary
        ? balancedAlpha(loss, objective.source.stds, auxiliary)
        : defaults.alpha,
      { above: 0 },
    ),
    loss,
    temperature: checkNumber("temperature", o.temperature, 1, { above: 0 }),
    initialLogStd: checkNumber("initialLogStd", o.initialLogStd, startLogStd, { min: -20, max: 20 }),
    calibrate: calibrated,
    calibrateStds: calibrated && o.initialLogStd === undefined,
    heldOut: o.heldOut === undefined ? undefined : checkInteger("heldOut", o.heldOut, 1, { min: 1 }),
    patience: checkInteger("patience", o.patience, 2 ** 20, { min: 1, max: 2 ** 20 }),
    /** [d], where the prior's dimensions differ: then `initialLogStd` is their mean. */
    initialLogStds: o.initialLogStd === undefined && !uniform ? logStds : null,
    checkpoint: o.checkpoint,
    checkpointSeconds: checkNumber("checkpointSeconds", o.checkpointSeconds, 30, { min: 0 }),
    seed: o.seed === undefined ? undefined : checkSeed("seed", o.seed),
    onProgress: o.onProgress,
    signal: o.signal,
  };
}

/** Of the loss on z, beside y's mean squared error: see TrainOptions.alpha. */
function balancedAlpha(
  loss: "nll" | "mse" | "cosine",
  stds: Float64Array,
  { begin, size }: AuxiliaryGroup,
): number {
  if (loss === "cosine") return 1;
  const variance = (deviations: Float64Array): number => mean(deviations.map((std) => std * std));
  const nats = (2 * variance(stds.subarray(begin, begin + size))) / size;
  if (loss === "nll") return nats;
  const z = withoutAuxiliary(stds, { name: "", begin, size });
  return (nats * z.length) / (2 * variance(z));
}

/** @throws ArgumentError */
export function checkTranslator(value: TranslatorSettings | undefined): TranslatorSettings {
  const o = checkOptions("translator", value, translatorNames);
  const { components, hidden, depth, stds, space } = checkArchitecture("translator.", o, {
    components: 10,
    hidden: 1,
  });
  const given = <T>(present: unknown, checked: T): T | undefined =>
    present === undefined ? undefined : checked;
  return {
    components: given(o.components, components),
    hidden: given(o.hidden, hidden),
    depth,
    stds,
    space,
    auxiliary: checkAuxiliaryName("translator.auxiliary", o.auxiliary),
    bound: given(o.bound, checkNumber("translator.bound", o.bound, 0, { min: 0 })),
    conditionNoise: checkNoise("translator.conditionNoise", o.conditionNoise),
  };
}
