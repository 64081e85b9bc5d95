/** tr0n: make a frozen, unconditional generator obey a condition. The public surface; nothing is defined here. */
export {
  AbortError,
  ArgumentError,
  DivergenceError,
  FileError,
  ModelError,
  Tr0nError,
  type Tr0nErrorCode,
} from "./base/errors.js";
export { tensor, type Tensor } from "./base/tensor.js";
export {
  devices,
  type ComputeDevice,
  type Device,
  type DeviceInfo,
  type Precision,
} from "./native/devices.js";
export type { DeviceId, ModelDeviceId } from "./native/types/devices.js";
export { loadModel } from "./model/model.js";
export { type Model, type ModelOptions, type RunOptions, type ValueInfo } from "./model/interface.js";
export { differentiate, type DifferentiateBytesOptions } from "./onnx/index.js";
export { differentiateAsync, type DifferentiateAsyncOptions } from "./model/differentiate-async.js";
export { differentiateModel, type DifferentiateModelOptions } from "./model/differentiate.js";
export {
  latent,
  type GroupLatent,
  type Latent,
  type LabelLatent,
  type MappedLatent,
  type NormalLatent,
  type ProductLatent,
  type SimpleLatent,
  type TableLatent,
  type TruncatedNormalLatent,
  type UniformLatent,
} from "./latent/latent.js";
export type { EncoderKind } from "./objective/encoder-kind.js";
export type { Range } from "./base/range.js";
export { energy, type Energy, type EnergyTerm } from "./objective/energy.js";
export { augmentation, type Augmentation, type AugmentationOptions } from "./objective/augment.js";
export { stage, type PadMode, type Stage, type ResizeMode } from "./objective/stages.js";
export {
  sampler,
  type GroupUpdate,
  type HybridOptions,
  type LangevinOptions,
  type MalaOptions,
  type ResampleOptions,
  type Sampler,
  type Start,
} from "./sampling/sampler.js";
export { decisionText, type Decision, type DecisionListener } from "./base/decisions.js";
export type { Condition, WeightedCondition } from "./condition/condition.js";
export { loadTokenizer, type WordTokenizer } from "./condition/tokenizer.js";
export type { EncodedText, EncodeOptions, LoadedTokenizer, Tokenizer } from "./condition/encoded-text.js";
export {
  textEncoder,
  type TextEncoder,
  type TextEncoderOptions,
  type TextFunction,
} from "./condition/text-encoder.js";
export { Translator, type MixtureTensors, type TranslatorOptions } from "./translator/translator.js";
export type { TranslatorShape } from "./translator/shape.js";
export {
  Trainer,
  type TrainerOptions,
  type TrainerProgress,
  type TrainerState,
} from "./translator/trainer.js";
export { covarianceOf, type ConditionNoise } from "./translator/noise.js";
export type { TrainOptions } from "./training/options.js";
export type { TrainProgress, TrainReport } from "./training/report.js";
export type { OpeningProgress } from "./base/opening.js";
export {
  generatePairs,
  type PairsOptions,
  type PairsProgress,
  type PairsReport,
} from "./training/pairs-folder.js";
export { Tr0n } from "./tr0n/tr0n.js";
export type { LoadModels, SampleOptions, SampleProgress, Tr0nOptions } from "./tr0n/options.js";
export type { SampleStep, Samples } from "./tr0n/samples.js";
export { encodePng, type GridOptions, type Images, type Pixels } from "./base/image.js";
export type { PictureLayout } from "./base/layout.js";
export { imageGrid, writeImages } from "./image/grid.js";
export { writeFilms, type FilmOptions } from "./image/films.js";
export { writeNpy } from "./base/write-npy.js";
export { writeSafetensors } from "./base/tensor-file.js";
export { writeWav, type WavFormat, type WavOptions } from "./base/wav.js";
export { readImage } from "./image/read.js";
export { evaluate } from "./evaluate/evaluate.js";
export { formatEvaluation, type Evaluation, type EvaluationRow } from "./evaluate/report.js";
export type { EvaluateOptions, EvaluateProgress, Recipe } from "./evaluate/options.js";
