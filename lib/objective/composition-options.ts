/** The options that say what models are joined and how, and their checks. */
import { augmentationOptions, checkAugmentation, type Augmentation } from "./augment.js";
import { checkChoice, checkFunction } from "../base/check.js";
import { Decisions, type DecisionListener } from "../base/decisions.js";
import { memoryBytes, memoryOption } from "../model/memory-option.js";
import { allowFallbackOption, deviceMemoryOption, deviceOption } from "../native/devices.js";
import { placement, requireForModels, type Placement } from "../native/placement.js";
import { followsPlace } from "./device-hold.js";
import { encoderKinds, type EncoderKind } from "./encoder-kind.js";
import { checkEnergy, type Energy } from "./energy.js";
import { checkRange, type Range } from "../base/range.js";
import { checkLatent, type Latent } from "../latent/latent.js";
import { loadedModel } from "../model/model.js";
import type { Model } from "../model/interface.js";
import { Objective } from "./objective.js";
import type { PairFunction } from "./options.js";
import type { OnOpening } from "../base/opening.js";
import { usedEncoder, usedGenerator } from "./used-part.js";
import { checkStages, type Stage } from "./stages.js";
import { check } from "../options/check.js";
import {
  byHand,
  either,
  integer,
  notInFile,
  number,
  object,
  option,
  pair,
  required,
  text,
  words,
  type Checked,
  type FileTypeOf,
  type TypeOf,
} from "../options/describe.js";

/** @internal */
export const modelShape = byHand<Model>("Model", loadedModel);
/** @internal */
export const energyShape = byHand<Energy>("Energy", checkEnergy);
/** @internal */
export const augmentationValue = byHand<Augmentation, FileTypeOf<typeof augmentationOptions>>(
  "Augmentation",
  checkAugmentation,
  augmentationOptions,
);
const outputName = text("an output's name");
const rangeInFile = pair(number(), "two numbers [low, high], such as [-1, 1], [0, 1] or [0, 255]");

/**
 * Models and what lies between them.
 *
 * @internal
 */
export const compositionOptions = object({
  generator: required(modelShape, "z → image, with several inputs for latent.product()", {
    more: "Not disposed of by tr0n.",
  }),
  encoder: required(modelShape, "image → condition, with one input", { more: "Not disposed of by tr0n." }),
  generatorOutput: notInFile(
    option(outputName, "which output of the generator", { otherwise: "the first" }),
    "`output` of `generator`",
  ),
  encoderOutput: notInFile(
    option(outputName, "which output of the encoder", { otherwise: "the first" }),
    "`output` of `encoder`",
  ),
  latent: option(byHand<Latent>("Latent", checkLatent), "p(z)", {
    otherwise: "N(0, I) of the generator's input size",
  }),
  generatorRange: option(
    byHand<Range, readonly [number, number]>(
      "Range",
      checkRange as (name: string, value: unknown) => Range,
      rangeInFile,
    ),
    "between which numbers the generator's pixels lie, black and white",
    {
      more:
        "[-1, 1], [0, 1], [0, 255] or any other two. Pictures are written and read by it, and stage.clip() and `augment` take it " +
        "into account. It is found out from the generator's last operators (Tanh, Sigmoid, Clip, scaled or not) or else from " +
        "images of it.",
      otherwise: "found out, and told",
      flag: false,
    },
  ),
  encoderKind: option(words(...encoderKinds), "what the encoder's output means", {
    more:
      'Scores of classes ("logits"), "probabilities" of classes, their logarithms ("log-probabilities"), or a vector ' +
      '("embedding"). It is found out from rows of it for images of the generator (≥ 0 with the sum 1; ≤ 0 with exponentials ' +
      "that sum to 1; of length 1), from its name and from its last operators; with a warning where two of them are about as " +
      "likely.",
    otherwise: "found out, and told",
  }),
  energy: option(energyShape, "what is minimised", {
    more: "See `encoderKind`.",
    otherwise: 'cosine() where the encoder\'s output is an "embedding", else crossEntropy()',
  }),
  preprocess: option(
    byHand<readonly Stage[]>("readonly Stage[]", checkStages),
    "stages between generator and encoder, in order",
    {
      more: "Where it is certain how numbers must be moved for what comes next (channels last, flat rows of gray images), that is done and told.",
      otherwise: "none",
    },
  ),
  augment: option(
    augmentationValue,
    "variations of the image, before `preprocess`, that the energy is averaged over",
    {
      more: "It is then harder to satisfy by details that only the encoder sees. Training pairs and images are not varied.",
      otherwise: "none",
    },
  ),
  pairEncoder: option(
    byHand<Model | PairFunction>("Model | PairFunction", (name, value) => {
      if (typeof value !== "function") loadedModel(name, value);
    }),
    "where a training pair's condition comes from, if not from the encoder",
    {
      more:
        "A model, fed with preprocessed images, or a function, called with the generator's images [n, …] and giving [n, m]. " +
        "With crossEntropy() a function gives probabilities.",
    },
  ),
  maxBatch: option(either(integer({ min: 1, max: 4096 }), words("auto")), "rows of one run of a model", {
    more:
      'Does not change results on the CPU. "auto": as many as fit into the memory that the device has free, by what the values of a row ' +
      "take with the gradient's; 64 where the device does not tell (WebGPU).",
    default: 64,
  }),
  device: deviceOption,
  allowFallback: allowFallbackOption,
  deviceMemory: deviceMemoryOption,
  memory: memoryOption,
  onDecision: option(
    byHand<DecisionListener>("DecisionListener", checkFunction),
    "called with what tr0n decided where no option said it",
    { otherwise: "a line on standard error, a warning where it is not certain" },
  ),
  onOpening: option(byHand<OnOpening>("OnOpening", checkFunction), "told how far the opening of models is", {
    more:
      "Their trial here, and their joining, differentiation and sessions in the calls that first need them. What it throws ends " +
      "the call.",
  }),
});

/** Models and what lies between them. */
export type CompositionOptions = TypeOf<typeof compositionOptions>;

/** What a file says besides the options; `former`: it is from before there were kinds and ranges. */
interface StoredKinds {
  readonly former: boolean;
  readonly pairEncoderKind?: EncoderKind;
}

/** Checks the options and joins the models. @throws as Tr0n.create */
export function createObjective(
  options: CompositionOptions,
  signal?: AbortSignal,
  stored?: StoredKinds,
  placed?: Placed,
): Promise<Objective> {
  return joinModels(check(compositionOptions, options, { name: "options" }), signal, stored, placed);
}

/** Where everything computes, where that is known already. */
interface Placed {
  /** What messages call the option. */
  readonly name: string;
  readonly at: Placement;
  readonly tf32: boolean;
}

/**
 * Joins the models; the options are checked.
 *
 * @internal
 * @throws as Tr0n.create
 */
export async function joinModels(
  o: Checked<typeof compositionOptions>,
  signal?: AbortSignal,
  stored?: StoredKinds,
  placed?: Placed,
): Promise<Objective> {
  const { name, at, tf32 } = placed ?? {
    ...{ name: "device", tf32: false },
    at: await placement("device", o.device, signal),
  };
  const generator = loadedModel("generator", o.generator);
  const encoder = loadedModel("encoder", o.encoder);
  const pairEncoder =
    o.pairEncoder === undefined || typeof o.pairEncoder === "function"
      ? o.pairEncoder
      : loadedModel("pairEncoder", o.pairEncoder);
  const pairModel = typeof pairEncoder === "function" ? undefined : pairEncoder;
  const decisions = new Decisions(o.onDecision);
  if (followsPlace([generator, encoder, pairModel])) requireForModels(name, at);
  if (at.told) decisions.add(at.told);
  const used = await usedEncoder("encoder", encoder, o.encoderOutput, decisions, signal);
  return Objective.create({
    generator: await usedGenerator(generator, o.generatorOutput, o.latent, decisions, signal),
    encoder: used.model,
    generatorOutput: o.generatorOutput,
    encoderOutput: used.output,
    generatorRange: o.generatorRange,
    encoderKind: o.encoderKind,
    pairEncoderKind: stored?.pairEncoderKind,
    origin: stored ? (stored.former ? "former file" : "file") : "options",
    latent: o.latent,
    energy: o.energy,
    stages: o.preprocess ?? [],
    augment: o.augment,
    pairEncoder: pairModel
      ? (await usedEncoder("pairEncoder", pairModel, undefined, decisions, signal)).model
      : pairEncoder,
    maxBatch: o.maxBatch,
    place: {
      device: at.models,
      tf32,
      allowFallback: o.allowFallback,
      deviceMemory: o.deviceMemory,
      memory: memoryBytes("options.memory", o.memory),
    },
    decisions,
    onOpening: o.onOpening,
    signal,
  });
}

/** @throws ArgumentError unless `value` is a kind or undefined */
export function checkKindName(name: string, value: unknown): EncoderKind | undefined {
  return value === undefined ? undefined : checkChoice(name, value, "logits", encoderKinds);
}
