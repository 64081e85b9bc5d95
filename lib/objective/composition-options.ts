/** The options that say what models are joined and how, and their checks. */
import { checkAugmentation, type Augmentation } from "./augment.js";
import { checkChoice, checkFunction, checkInteger } from "../base/check.js";
import { Decisions, type DecisionListener } from "../base/decisions.js";
import { checkDevice, type Device } from "../native/devices.js";
import { encoderKinds, type EncoderKind } from "./encoder-kind.js";
import { checkEnergy, type Energy } from "./energy.js";
import { invalid } from "../base/errors.js";
import { checkRange, type Range } from "../base/range.js";
import { checkLatent, type Latent } from "../latent/latent.js";
import { loadedModel } from "../model/model.js";
import type { Model } from "../model/interface.js";
import { Objective } from "./objective.js";
import type { PairFunction } from "./options.js";
import type { OnOpening } from "../base/opening.js";
import { checkStages, type Stage } from "./stages.js";

/** Models and what lies between them. */
export interface CompositionOptions {
  /** z → image; with several inputs for latent.product(). Not disposed of by tr0n. */
  generator: Model;
  /** image → condition, with one input. Not disposed of by tr0n. */
  encoder: Model;
  /** Default: the generator's first output. */
  generatorOutput?: string;
  /** Default: the encoder's first output. */
  encoderOutput?: string;
  /** p(z). Default: N(0, I) of the generator's input size. */
  latent?: Latent;
  /**
   * Between which numbers the generator's pixels lie, black and white: [-1, 1], [0, 1], [0, 255] or any other two. Pictures are
   * written and read by it, and stage.clip() and `augment` take it into account. Default: found out from the generator's
   * last operators (Tanh, Sigmoid, Clip, scaled or not) or else from images of it, and told.
   */
  generatorRange?: Range;
  /**
   * What the encoder's output means: scores of classes ("logits"), "probabilities" of classes, their logarithms
   * ("log-probabilities"), or a vector ("embedding"). Default: found out from rows of it for images of the generator (≥ 0
   * with the sum 1; ≤ 0 with exponentials that sum to 1; of length 1), from its name and from its last operators, and told;
   * with a warning where two of them are about as likely.
   */
  encoderKind?: EncoderKind;
  /** Default: cosine() where the encoder's output is an "embedding", else crossEntropy(); see `encoderKind`. */
  energy?: Energy;
  /** Stages between generator and encoder, in order. Default none. */
  preprocess?: readonly Stage[];
  /**
   * Variations of the image, before `preprocess`, that the energy is averaged over: it is then harder to satisfy by
   * details that only the encoder sees. Training pairs and images are not varied. Default none.
   */
  augment?: Augmentation;
  /**
   * Where a training pair's condition comes from, if not from the encoder: a model, fed with preprocessed images, or
   * a function, called with the generator's images [n, C, H, W] and giving [n, m]. With crossEntropy() a function gives
   * probabilities.
   */
  pairEncoder?: Model | PairFunction;
  /** Rows of one run of a model, 1 … 4096. Default 64. Does not change results. */
  maxBatch?: number;
  /** Where translator and samplers compute; the models run on the CPU. Default "auto". */
  device?: Device;
  /** Called with what tr0n decided where no option said it. Default: a line on standard error, a warning where it is not certain. */
  onDecision?: DecisionListener;
  /**
   * Told how far the opening of models is: their trial here, and their joining, differentiation and sessions in the calls
   * that first need them. What it throws ends the call.
   */
  onOpening?: OnOpening;
}

export const compositionOptionNames = [
  "generator",
  "encoder",
  "generatorOutput",
  "encoderOutput",
  "generatorRange",
  "encoderKind",
  "latent",
  "energy",
  "preprocess",
  "augment",
  "pairEncoder",
  "maxBatch",
  "device",
  "onDecision",
  "onOpening",
] as const;

/** What a file says besides the options; `former`: it is from before there were kinds and ranges. */
export interface StoredKinds {
  readonly former: boolean;
  readonly pairEncoderKind?: EncoderKind;
}

/** Checks the options and joins the models. @throws as Tr0n.create */
export async function createObjective(
  o: CompositionOptions,
  signal?: AbortSignal,
  stored?: StoredKinds,
): Promise<Objective> {
  checkDevice("device", o.device);
  checkFunction("onDecision", o.onDecision);
  const text = (name: string, value: unknown): string | undefined => {
    if (value !== undefined && (typeof value !== "string" || value === ""))
      throw invalid(name, "an output's name", value);
    return value as string | undefined;
  };
  const { pairEncoder } = o;
  checkFunction("onOpening", o.onOpening);
  return Objective.create({
    generator: loadedModel("generator", o.generator),
    encoder: loadedModel("encoder", o.encoder),
    generatorOutput: text("generatorOutput", o.generatorOutput),
    encoderOutput: text("encoderOutput", o.encoderOutput),
    generatorRange: checkRange("generatorRange", o.generatorRange),
    encoderKind: checkKindName("encoderKind", o.encoderKind),
    pairEncoderKind: stored?.pairEncoderKind,
    origin: stored ? (stored.former ? "former file" : "file") : "options",
    latent: o.latent === undefined ? undefined : checkLatent("latent", o.latent),
    energy: o.energy === undefined ? undefined : checkEnergy("energy", o.energy),
    stages: checkStages("preprocess", o.preprocess),
    augment: o.augment === undefined ? undefined : checkAugmentation("augment", o.augment),
    pairEncoder:
      pairEncoder === undefined || typeof pairEncoder === "function"
        ? pairEncoder
        : loadedModel("pairEncoder", pairEncoder),
    maxBatch: checkInteger("maxBatch", o.maxBatch, 64, { min: 1, max: 4096 }),
    decisions: new Decisions(o.onDecision),
    onOpening: o.onOpening,
    signal,
  });
}

/** @throws ArgumentError unless `value` is a kind or undefined */
export function checkKindName(name: string, value: unknown): EncoderKind | undefined {
  return value === undefined ? undefined : checkChoice(name, value, "logits", encoderKinds);
}
