/** What a configuration file may hold. Its JSON Schema is published as schema/tr0n.schema.json. */
import { textEncoderOptions } from "../condition/text-encoder.js";
import { modelOptions } from "../model/interface.js";
import { compositionOptions } from "../objective/composition-options.js";
import { energyInFile } from "../objective/energy.js";
import { stageInFile } from "../objective/stages.js";
import { evaluateOptions } from "../evaluate/options.js";
import { latents } from "../latent/kinds/index.js";
import { deviceOption, precisionOption } from "../native/devices.js";
import { seedShape } from "../options/common.js";
import {
  either,
  integer,
  list,
  named,
  number,
  object,
  oneOrMore,
  option,
  partial,
  path,
  required,
  text,
  withDefault,
  words,
  type FileTypeOf,
  type Option,
  type Shape,
} from "../options/describe.js";
import { jsonDocument, type JsonDocument } from "../options/json-schema.js";
import { trainOptions, translatorSettings } from "../training/options.js";
import type { samplerShape } from "../sampling/sampler.js";
import { pairsOptions } from "../training/pairs-folder.js";
import { sampleOptions } from "../tr0n/options.js";

const whole = (min: number, max = Number.MAX_SAFE_INTEGER) => integer({ min, max });
const numbers = list(number());

const {
  format,
  device,
  inputShapes,
  inputs,
  allowCode,
  simplify,
  allowRandom,
  straightThrough,
  allowFallback,
  deviceMemory,
} = modelOptions.form.properties;
const modelProperties = {
  model: required(path(), "ONNX or TorchScript"),
  ...{ format, device, inputShapes, inputs, allowCode },
};
const modelObject = object({
  ...modelProperties,
  output: option(text(), "which output", { otherwise: "the first" }),
  simplify,
  allowRandom,
  straightThrough,
  allowFallback,
  deviceMemory,
});
export type ModelSpec = FileTypeOf<typeof modelObject>;
const model: Shape<unknown, string | ModelSpec> = named("model", () => either(path(), modelObject));
const textEncoder = object({
  ...modelProperties,
  tokenizer: textEncoderOptions.form.properties.tokenizer,
  output: textEncoderOptions.form.properties.output,
  unknownWords: textEncoderOptions.form.properties.unknownWords,
  maxLength: textEncoderOptions.form.properties.maxLength,
  longTexts: textEncoderOptions.form.properties.longTexts,
});

const latent = either(...latents.inFile);

export type SamplerSpec = FileTypeOf<typeof samplerShape>;

export type ConditionSpec =
  | { class: number | readonly number[] }
  | { embedding: string | readonly number[] | readonly (readonly number[])[] }
  | { image: string | readonly string[] }
  | { text: string | readonly string[] }
  | { all: readonly (ConditionSpec | { condition: ConditionSpec; weight?: number })[] };
const one = <const K extends string, T, F>(name: K, shape: Shape<T, F>, is: string) =>
  object({ [name]: required(shape, is) } as { [N in K]: Option<T, F, "required"> });
export const condition: Shape<ConditionSpec, ConditionSpec> = named("condition", () =>
  either(
    one("class", oneOrMore(whole(0)), "a class or several"),
    one(
      "embedding",
      either(path(), numbers, list(numbers)),
      "the encoder's numbers, a list of such, or a JSON file of them",
    ),
    one("image", oneOrMore(path()), "image files"),
    one("text", oneOrMore(text()), "texts"),
    one(
      "all",
      list(
        either(
          condition,
          object({
            condition: required(condition, "one of them"),
            weight: option(number(), "weight; negative: away from it", { default: 1 }),
          }),
        ),
      ),
      "several at once: their energies are added",
    ),
  ),
) as Shape as Shape<ConditionSpec, ConditionSpec>;

const composition = compositionOptions.form.properties;
const { count, shardSize } = pairsOptions.form.properties;
/** What of generatePairs() is not said elsewhere in the document. @internal */
export const pairsSection = object({ count, shardSize });
/** What to sample, and how large to draw it. */
export const sampleSection = object({
  condition: option(condition, "what is wanted of the samples"),
  count: withDefault(sampleOptions.form.properties.count, 16),
  sampler: sampleOptions.form.properties.sampler,
  scale: option(integer({ min: 1, max: 64 }), "every pixel becomes scale × scale", { default: 1 }),
  rate: option(integer({ min: 1, max: 2 ** 24 }), "samples a second of a .wav file, or frames of a film", {
    otherwise: "10 for a film; a .wav file needs it",
  }),
  wavFormat: option(words("pcm16", "float32"), "numbers of a .wav file", {
    more: "Whole numbers of 16 bits, limited to [-1, 1], or as they are.",
    default: "pcm16",
  }),
});

const document = object({
  $schema: option(text(), "where an editor finds this schema"),
  generator: option(model, "latent → image"),
  encoder: option(model, "image → condition"),
  mapping: option(model, "the mapping network of mapped latents"),
  pairEncoder: option(model, "where training conditions come from, if not from the encoder"),
  textEncoder: option(textEncoder, "text → condition"),
  latent: option(latent, "the prior p(z)", { otherwise: "normal" }),
  generatorRange: composition.generatorRange,
  encoderKind: composition.encoderKind,
  energy: option(energyInFile, "what is minimised", { otherwise: "by the encoder" }),
  preprocess: option(list(stageInFile, { least: 0 }), "stages between generator and encoder", {
    otherwise: "none",
  }),
  augment: composition.augment,
  translator: option(translatorSettings, "the network"),
  pairs: option(partial(pairsSection), "of `tr0n pairs`"),
  train: option(trainOptions, "of `tr0n train`"),
  sample: option(sampleSection, "of `tr0n sample`"),
  evaluate: option(evaluateOptions, "of `tr0n evaluate`"),
  outputs: option(
    object({
      translator: option(path(), "written by train, read by sample and evaluate; .safetensors"),
      pairs: option(path(), "the folder that pairs writes"),
      image: option(
        path(),
        "what sample writes: a picture (.png, .jpg, .webp, …), .wav, .npy or .safetensors",
      ),
      latents: option(path(), "latents and energies that sample writes; .safetensors"),
      report: option(path(), "the report that evaluate writes; .json"),
    }),
    "files that commands write",
  ),
  device: deviceOption,
  precision: precisionOption,
  maxBatch: composition.maxBatch,
  allowFallback: composition.allowFallback,
  deviceMemory: composition.deviceMemory,
  memory: composition.memory,
  seed: option(seedShape, "decides everything random", { otherwise: "random" }),
});

export { document as documentShape };

let schema: JsonDocument | undefined;
/** The document's JSON Schema. */
export function configSchema(): JsonDocument {
  return (schema ??= jsonDocument("A configuration of tr0n", document));
}
