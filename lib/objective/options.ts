/** What an objective is made of. */
import type { MaxBatch } from "../model/batch-size.js";
import type { Decisions } from "../base/decisions.js";
import type { Images } from "../base/image.js";
import type { OnOpening } from "../base/opening.js";
import type { Range } from "../base/range.js";
import type { Tensor } from "../base/tensor.js";
import type { Latent } from "../latent/latent.js";
import type { LoadedModel } from "../model/model.js";
import type { ModelPlace } from "../native/placement.js";
import type { Augmentation } from "./augment.js";
import type { EncoderKind } from "./encoder-kind.js";
import type { Energy } from "./energy.js";
import type { Stage } from "./stages.js";

/** A function from images [n, C, H, W], as the generator gives them with their range, to conditions [n, m]. */
export type PairFunction = (images: Images) => Promise<Tensor>;

export interface ObjectiveOptions {
  generator: LoadedModel;
  encoder: LoadedModel;
  generatorOutput?: string;
  encoderOutput?: string;
  latent?: Latent;
  energy?: Energy;
  stages: readonly Stage[];
  augment?: Augmentation;
  pairEncoder?: LoadedModel | PairFunction;
  /** What the encoder's output means; found out where it is not given. */
  encoderKind?: EncoderKind;
  /** Of a pairEncoder that is a model. */
  pairEncoderKind?: EncoderKind;
  /** The numbers of black and of white; found out where they are not given. */
  generatorRange?: Range;
  maxBatch: MaxBatch;
  /** Where models run that were loaded without a device of their own, and how; default: the CPU. */
  place?: ModelPlace;
  /** Takes down what is decided. */
  decisions: Decisions;
  onOpening?: OnOpening | undefined;
  /** Where the settings are from (default "options"): a file is not checked again, and a former one has no kinds and ranges. */
  origin?: "options" | "file" | "former file";
  signal?: AbortSignal;
}
