/** tr0n: make a frozen, unconditional generator obey a condition. The public surface; nothing is defined here. */
export {
  AbortError,
  ArgumentError,
  DivergenceError,
  FileError,
  ModelError,
  Tr0nError,
  type Tr0nErrorCode,
} from "./errors.js";
export { tensor, type Tensor } from "./tensor.js";
export { devices, type Device, type DeviceInfo, type Precision } from "./devices.js";
export type { DeviceId } from "./native.js";
export { loadModel, type Model, type ModelOptions, type RunOptions, type ValueInfo } from "./model.js";
export { differentiate } from "./onnx/index.js";
export { differentiateModel, type DifferentiateModelOptions } from "./differentiate-model.js";
export {
  latent,
  type GroupLatent,
  type Latent,
  type MappedLatent,
  type ProductLatent,
  type SimpleLatent,
  type TableLatent,
} from "./latent.js";
export type { EncoderKind } from "./encoder-kind.js";
export type { Range } from "./generator-range.js";
export { energy, type Energy, type EnergyTerm } from "./energy.js";
export { augmentation, type Augmentation, type AugmentationOptions } from "./augment.js";
export { stage, type Stage, type ResizeMode } from "./preprocess.js";
export {
  sampler,
  type GroupUpdate,
  type HybridOptions,
  type LangevinOptions,
  type MalaOptions,
  type ResampleOptions,
  type Sampler,
  type Start,
} from "./sampler.js";
export { decisionText, type Decision, type DecisionListener } from "./decisions.js";
export type { Condition, WeightedCondition } from "./condition.js";
export { loadTokenizer, type EncodedText, type Tokenizer, type WordTokenizer } from "./tokenizer.js";
export { textEncoder, type TextEncoder, type TextEncoderOptions, type TextFunction } from "./text-encoder.js";
export { Translator, type MixtureTensors, type TranslatorOptions } from "./translator.js";
export type { TranslatorShape } from "./translator-shape.js";
export { Trainer, type TrainerOptions, type TrainerProgress, type TrainerState } from "./trainer.js";
export { covarianceOf, type ConditionNoise } from "./noise.js";
export type { TrainOptions, TrainProgress, TrainReport } from "./training.js";
export type { OpeningProgress } from "./opening.js";
export { generatePairs, type PairsOptions, type PairsProgress, type PairsReport } from "./pairs.js";
export {
  Tr0n,
  type LoadModels,
  type SampleOptions,
  type SampleProgress,
  type SampleStep,
  type Samples,
  type Tr0nOptions,
} from "./tr0n.js";
export {
  encodePng,
  imageGrid,
  readImage,
  writeImages,
  type GridOptions,
  type Images,
  type Pixels,
} from "./image.js";
export {
  evaluate,
  formatEvaluation,
  type EvaluateOptions,
  type EvaluateProgress,
  type Evaluation,
  type EvaluationRow,
  type Recipe,
} from "./evaluate.js";
