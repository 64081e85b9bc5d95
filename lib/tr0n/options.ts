/** What a Tr0n is told when it is made, loaded and sampled from. */
import type { Augmentation } from "../objective/augment.js";
import type { DecisionListener } from "../base/decisions.js";
import { checkDevice, checkPrecision, type Device, type Compute, type Precision } from "../native/devices.js";
import type { Energy } from "../objective/energy.js";
import type { Range } from "../base/range.js";
import type { Model } from "../model/interface.js";
import type { PairFunction } from "../objective/options.js";
import type { OnOpening } from "../base/opening.js";
import type { Sampler } from "../sampling/sampler.js";
import type { CompositionOptions } from "../objective/composition-options.js";
import type { TextFunction } from "../condition/text-encoder.js";
import type { TranslatorSettings } from "../training/options.js";

export interface Tr0nOptions extends CompositionOptions {
  /** Of the network that `train` trains. */
  translator?: TranslatorSettings;
  /** For conditions `{ text }`: turns texts into embeddings in the encoder's space; {@link textEncoder} makes one. */
  textEncoder?: TextFunction;
  /** Default "fp32". */
  precision?: Precision;
  /** Decides training where `train` has no seed of its own. Default random. */
  seed?: number;
  signal?: AbortSignal;
}

/** What `Tr0n.load` needs besides the file. Models given as paths are loaded, and disposed of with the Tr0n. */
export interface LoadModels {
  generator: Model | string;
  encoder: Model | string;
  /** The same energy as before; needed only where it has parts from energy.fromOnnx(). */
  energy?: Energy;
  /** Replaces the saved augmentation; null for none. Default: the saved one. */
  augment?: Augmentation | null;
  /**
   * Black and white of the generator's images. Default: what the file says; for a file of a version that did not store it,
   * what is found out. Where the translator was trained with stage.clip(), it must be the same range.
   */
  generatorRange?: Range;
  /** Needed only for train(), where the saved translator was trained with a pairEncoder. */
  pairEncoder?: Model | PairFunction;
  /** For conditions `{ text }`. */
  textEncoder?: TextFunction;
  /** The mapping network of a mapped latent, or several by the generator's inputs; needed where the saved latent has one. */
  mapping?: Model | string | Record<string, Model | string>;
  /** Trust TorchScript models that are given as paths: see {@link ModelOptions.allowCode}. Default false. */
  allowCode?: boolean;
  maxBatch?: number;
  /** As for create(). */
  onOpening?: OnOpening;
  /** Where translator and samplers compute; the models run on the CPU. Default "auto". */
  device?: Device;
  /** Default "fp32". */
  precision?: Precision;
  /** As for {@link Tr0n.create}. What the file says is not decided again. */
  onDecision?: DecisionListener;
  signal?: AbortSignal;
}

export interface SampleOptions {
  /** Samples for each condition. Default 1. */
  count?: number;
  /** Default: the sampler's own. */
  steps?: number;
  /** Default sampler.resample(); sampler.mala() where the translator is deterministic. */
  sampler?: Sampler;
  /** Decides everything. Default random; the result tells it. */
  seed?: number;
  onProgress?: (progress: SampleProgress) => void;
  signal?: AbortSignal;
}

export interface SampleProgress {
  /** Steps done; 0 when the chains are at their starts. */
  readonly step: number;
  readonly steps: number;
  /** [B·count], the present energy of each chain. */
  readonly energies: Float32Array;
}

export const sampleNames = ["count", "steps", "sampler", "seed", "onProgress", "signal"] as const;

/** @throws ArgumentError, Tr0nError ERR_DEVICE_UNAVAILABLE */
export function checkCompute(prefix: string, o: { device?: Device; precision?: Precision }): Compute {
  return {
    precision: checkPrecision(`${prefix}precision`, o.precision),
    device: checkDevice(`${prefix}device`, o.device),
  };
}
