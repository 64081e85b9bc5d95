/** What a Tr0n is told when it is made, loaded and sampled from. */
import {
  augmentationValue,
  compositionOptions,
  energyShape,
  modelShape,
} from "../objective/composition-options.js";
import { precisionOption, type Compute, type Device, type Precision } from "../native/devices.js";
import { placement, type Placement } from "../native/placement.js";
import type { Model } from "../model/interface.js";
import { samplerShape } from "../sampling/sampler.js";
import { stepCount } from "../sampling/samplers/common.js";
import { textFunction } from "../condition/text-encoder.js";
import { translatorSettings } from "../training/options.js";
import { drawnSeed, listener, ofTheDocument, seedShape, signal } from "../options/common.js";
import {
  boolean,
  byHand,
  either,
  integer,
  notInFile,
  nothing,
  object,
  option,
  path,
  required,
  type TypeOf,
} from "../options/describe.js";

/** @internal */
export const tr0nOptions = object({
  ...compositionOptions.form.properties,
  translator: option(translatorSettings, "the network that `train` trains"),
  textEncoder: option(
    textFunction,
    "for conditions `{ text }`: turns texts into embeddings in the encoder's space",
    {
      more: "{@link textEncoder} makes one.",
    },
  ),
  precision: precisionOption,
  seed: option(seedShape, "decides training where `train` has no seed of its own", { default: drawnSeed }),
  signal,
});

export type Tr0nOptions = TypeOf<typeof tr0nOptions>;

const {
  generatorRange,
  preprocess,
  pairEncoder,
  maxBatch,
  onOpening,
  onDecision,
  device,
  allowFallback,
  deviceMemory,
  memory,
} = compositionOptions.form.properties;
const modelOrPath = either(path(), modelShape);

/** @internal */
export const loadModels = object({
  generator: required(modelOrPath, "z → image, as before"),
  encoder: required(modelOrPath, "image → condition, as before"),
  energy: option(energyShape, "the same energy as before", {
    more: "Needed only where it has parts from energy.fromOnnx().",
    otherwise: "the saved one",
  }),
  preprocess: {
    ...preprocess,
    is: "the same stages as before, or those of them alone that are from stage.fromOnnx()",
    more: "Needed only where there are any from stage.fromOnnx().",
    otherwise: "the saved ones",
  },
  augment: option(either(augmentationValue, nothing()), "replaces the saved augmentation; null for none", {
    otherwise: "the saved one",
  }),
  generatorRange: {
    ...generatorRange,
    more: "Where the translator was trained with stage.clip(), it must be the same range.",
    otherwise: "what the file says; for a file of a version that did not store it, what is found out",
  },
  pairEncoder: {
    ...pairEncoder,
    more: "Needed only for train(), where the saved translator was trained with one.",
  },
  textEncoder: option(textFunction, "for conditions `{ text }`"),
  mapping: option(
    byHand<Model | string | Record<string, Model | string>>(
      "Model | string | Record<string, Model | string>",
      () => undefined, // when it is opened
    ),
    "the mapping network of a mapped latent, or several by the generator's inputs",
    { more: "Needed where the saved latent has one." },
  ),
  allowCode: option(boolean(), "trust TorchScript models that are given as paths", {
    more: "See {@link ModelOptions.allowCode}.",
    default: false,
  }),
  straightThrough: option(
    boolean(),
    "take rounding for the identity in the gradient of ONNX models that are given as paths",
    { more: "See {@link ModelOptions.straightThrough}.", default: false },
  ),
  maxBatch,
  onOpening,
  device,
  allowFallback,
  deviceMemory,
  memory,
  precision: precisionOption,
  onDecision: { ...onDecision, more: "What the file says is not decided again." },
  signal,
});

/** What `Tr0n.load` needs besides the file. Models given as paths are loaded, and disposed of with the Tr0n. */
export type LoadModels = TypeOf<typeof loadModels>;

/** @internal */
export const sampleOptions = object({
  count: option(integer({ min: 1, max: 2 ** 32 - 1 }), "samples for each condition", {
    default: 1,
    flag: { short: "n" },
  }),
  steps: notInFile(
    option(stepCount, "steps", { otherwise: "the sampler's own" }),
    "of the sampler: `sampler.steps`",
  ),
  sampler: option(samplerShape, "how latents are drawn", {
    otherwise: "sampler.resample(), or sampler.mala() where the translator is deterministic",
  }),
  seed: notInFile(
    option(seedShape, "decides everything", { more: "The result tells it.", default: drawnSeed }),
    ofTheDocument,
  ),
  onProgress: listener<SampleProgress>("SampleProgress", "called with how far the chains are"),
  signal,
});

export type SampleOptions = TypeOf<typeof sampleOptions>;

/** @internal */
export const stepsOptions = object({
  ...sampleOptions.form.properties,
  every: option(integer({ min: 1 }), "steps from one with images to the next", {
    otherwise: "only the last has them",
  }),
});

/** @internal */
export const interpolateOptions = object({
  ...sampleOptions.form.properties,
  points: option(integer({ min: 1, max: 2 ** 16 }), "conditions along the way", { default: 9 }),
});

export interface SampleProgress {
  /** Steps done; 0 when the chains are at their starts. */
  readonly step: number;
  readonly steps: number;
  /** [B·count], the present energy of each chain. */
  readonly energies: Float32Array;
}

/** Where everything computes. @throws ArgumentError, Tr0nError ERR_DEVICE_UNAVAILABLE, AbortError */
export async function checkCompute(
  prefix: string,
  o: { device?: Device; precision: Precision; signal?: AbortSignal },
): Promise<{ compute: Compute; placed: { name: string; at: Placement; tf32: boolean } }> {
  const name = `${prefix}device`;
  const at = await placement(name, o.device, o.signal);
  const { precision } = o;
  return {
    compute: { precision, device: at.compute },
    placed: { name, at, tf32: precision === "tf32" },
  };
}
