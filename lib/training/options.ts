/** What training is told: its options, their defaults and their checks. */
import { withoutAuxiliary, type AuxiliaryGroup } from "../translator/auxiliary.js";
import { invalid } from "../base/errors.js";
import { checkNoise, noiseInFile, type ConditionNoise } from "../translator/noise.js";
import type { Objective } from "../objective/objective.js";
import { check } from "../options/check.js";
import { listener, ofTheDocument, seedShape, signal } from "../options/common.js";
import {
  boolean,
  byHand,
  either,
  integer,
  notInFile,
  number,
  object,
  option,
  path,
  text,
  withDefault,
  words,
  type Derived,
  type TypeOf,
} from "../options/describe.js";
import { architecture, boundOption, logStdShape } from "../translator/shape.js";
import { loopOptions } from "../translator/trainer.js";
import { mean } from "./validation.js";
import type { TrainProgress } from "./report.js";

/** Settings that the other options start from. */
const presets = {
  recommended: { epochs: 6, batchSize: 256, learningRate: 1e-3, alpha: 1 },
  official: { epochs: 10, batchSize: 16, learningRate: 1e-4, alpha: 1e-4 },
} as const;
type Preset = keyof typeof presets;

const ofPreset = (name: keyof (typeof presets)[Preset]): Derived<number> => ({
  from: ({ preset }: { preset: Preset }) => presets[preset][name],
  words: `${presets.recommended[name]}; official ${presets.official[name]}`,
});

/** Fewer pairs leave nothing to hold out. */
export const minPairs = 20;
/** So many epochs without a better loss are more than there can be. */
const mostEpochs = 2 ** 20;
const positive = number({ above: 0 });

/** @internal */
export const trainOptions = object(
  {
    pairs: option(
      either(integer({ min: minPairs, max: 2 ** 32 - 1 }), path()),
      "how many pairs to make, or a folder from generatePairs()",
      { more: "20,000 or more are recommended.", default: 50_000, flag: false },
    ),
    preset: option(
      words("recommended", "official"),
      "recommended, or official for the paper's settings: what the other options start from",
      {
        more:
          'With "recommended" the log standard deviations start at the prior\'s. "official" has the paper\'s numbers, and log ' +
          "standard deviations that start at log 0.01; on far fewer pairs than the paper's million, so that it finishes, and the " +
          'fit is too narrow for it. With `translator.auxiliary` "official" is the paper\'s loss for BigGAN, and "recommended" has ' +
          "another `alpha`.",
        default: "recommended",
      },
    ),
    loss: option(words("nll", "mse", "cosine"), "what a pair's latent is held against", {
      more:
        '"nll": −log q(z|c). "mse": the mean squared error of a deterministic translator, a point for each condition in the place ' +
        'of a density; resampling has no use for it, and other samplers start from the point. "cosine": −cos(c, f(G(z\'))) of a ' +
        "relaxed draw z' of the mixture (Gumbel-softmax weights, reparameterised normals), through the gradient of generator " +
        "and encoder, one for each pair and epoch; for embeddings only.",
      default: "nll",
    }),
    temperature: option(positive, 'temperature of the relaxed draws of the loss "cosine"', {
      more: "Towards 0 they pick one component.",
      default: 1,
    }),
    epochs: withDefault(loopOptions.epochs, ofPreset("epochs")),
    batchSize: withDefault(loopOptions.batchSize, ofPreset("batchSize")),
    learningRate: withDefault(loopOptions.learningRate, ofPreset("learningRate")),
    clip: loopOptions.clip,
    alpha: option(positive, "weight of the loss on the latent, beside that of an auxiliary group", {
      more:
        'An auxiliary head\'s mean squared error has weight 1. "recommended" is 1 without such a head. With one it is 2v/n, v ' +
        "being the variance of the group's n numbers under the prior: then the sum is (times a factor) the negative " +
        "log-likelihood of both groups, of y under a normal of variance v about the head's output. Likewise for the loss " +
        '"mse"; 1 for "cosine".',
      otherwise: `${presets.recommended.alpha}, or what balances an auxiliary group; official ${presets.official.alpha}`,
    }),
    initialLogStd: option(logStdShape, "where the log standard deviations start", {
      otherwise: "the preset's",
    }),
    calibrate: option(boolean(), "start from the moments of the pairs' latents", {
      more:
        "The means' layer starts at the mean and in units of the deviation of each dimension of the latents, and the standard " +
        "deviations (without `initialLogStd`) at those. For latents whose scale is not known beforehand; for N(0, I) it changes " +
        "next to nothing.",
      default: false,
    }),
    heldOut: option(integer({ min: 1 }), "pairs that are held out to choose the best epoch by", {
      otherwise: "a tenth, at most 2000",
    }),
    patience: option(loopOptions.epochs.shape, "stop after so many epochs without a better held-out loss", {
      otherwise: "never",
    }),
    checkpoint: option(path(), "file to go on from, and to keep up to date", {
      more:
        "It is written atomically at the end of each epoch and about every `checkpointSeconds`, and when the call is aborted. If " +
        "it is there already, training goes on from it with the same result as an uninterrupted run; without a `seed` option the " +
        "file's seed is used. It stays when training ends.",
      otherwise: "none",
    }),
    checkpointSeconds: option(number({ min: 0 }), "seconds between checkpoints", { default: 30 }),
    seed: notInFile(
      option(seedShape, "decides pairs, first weights, order, labels and noise", {
        otherwise: "the Tr0n's own seed",
      }),
      ofTheDocument,
    ),
    onProgress: listener<TrainProgress>("TrainProgress", "called with how far training is"),
    signal,
  },
  ({ loss }, name, { temperature }) => {
    if (temperature !== undefined && loss !== "cosine")
      throw invalid(
        name("temperature"),
        `nothing, for it is of the loss "cosine" and not "${String(loss)}"`,
        temperature,
      );
  },
);

export type TrainOptions = TypeOf<typeof trainOptions>;

/** @internal */
export const translatorSettings = object({
  ...architecture,
  auxiliary: option(
    text("the name of a group of the latent"),
    "group of a latent.product() that the translator regresses",
    {
      more:
        'Such as BigGAN\'s class embeddings "y": a head of its own gives one y for each condition, trained by mean squared error, ' +
        "and the mixture covers the other groups. Chains start at that y, and the hybrid sampler moves it as one vector.",
      otherwise: "none, the mixture covers all",
      flag: { value: "GROUP" },
    },
  ),
  bound: { ...boundOption, otherwise: "the bound of the latent that the mixture covers, if it has one" },
  conditionNoise: option(
    byHand<ConditionNoise, TypeOf<typeof noiseInFile>>("ConditionNoise", checkNoise, noiseInFile),
    "noise on conditions while training",
    { otherwise: "none" },
  ),
});

/** What of the translator `Tr0n.create` can be told. */
export type TranslatorSettings = TypeOf<typeof translatorSettings>;

/** @throws ArgumentError */
export function checkTranslator(value: TranslatorSettings | undefined): TranslatorSettings {
  return check(translatorSettings, value, { name: "translator", prefix: "translator." });
}

/** The options with their defaults. */
export type TrainSettings = ReturnType<typeof checkTrainOptions>;

/** @throws ArgumentError */
export function checkTrainOptions(
  options: TrainOptions | undefined,
  objective: Objective,
  auxiliary: AuxiliaryGroup | null = null,
) {
  const o = check(trainOptions, options, { name: "options" });
  if (o.loss === "cosine") objective.requireGradient('loss: "cosine"', 'the loss "nll" needs none');
  const logStds =
    o.preset === "official"
      ? [Math.log(0.01)]
      : Array.from(withoutAuxiliary(objective.source.stds, auxiliary), Math.log);
  const uniform = logStds.every((value) => value === logStds[0]);
  const startLogStd = uniform ? logStds[0]! : logStds.reduce((sum, value) => sum + value / logStds.length, 0);
  return {
    ...o,
    alpha:
      o.alpha ??
      (o.preset === "recommended" && auxiliary
        ? balancedAlpha(o.loss, objective.source.stds, auxiliary)
        : presets[o.preset].alpha),
    initialLogStd: o.initialLogStd ?? startLogStd,
    calibrateStds: o.calibrate && o.initialLogStd === undefined,
    patience: o.patience ?? mostEpochs,
    /** [d], where the prior's dimensions differ: then `initialLogStd` is their mean. */
    initialLogStds: o.initialLogStd === undefined && !uniform ? logStds : null,
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
