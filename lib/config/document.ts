/** What a configuration file may hold. Its JSON Schema is published as schema/tr0n.schema.json. */
import { augmentationOptions } from "../objective/augment.js";
import { encoderKinds } from "../objective/encoder-kind.js";
import { energyInFile } from "../objective/energy.js";
import { stageInFile } from "../objective/stages.js";
import { recipes } from "../evaluate/recipes.js";
import { latents } from "../latent/kinds/index.js";
import { deviceOption, precisionOption } from "../native/devices.js";
import { seedShape } from "../options/common.js";
import {
  boolean,
  either,
  integer,
  list,
  named,
  nothing,
  number,
  object,
  oneOrMore,
  option,
  path,
  record,
  required,
  text,
  words,
  type FileTypeOf,
  type Option,
  type Shape,
} from "../options/describe.js";
import { jsonDocument, type JsonDocument } from "../options/json-schema.js";
import { kindsInFile, type KindSpec } from "../options/kinds.js";
import { trainOptions, translatorSettings } from "../training/options.js";
import { samplers } from "../sampling/samplers/index.js";

const count = (min: number, max = Number.MAX_SAFE_INTEGER) => integer({ min, max });
const numbers = list(number());

const modelProperties = {
  model: required(path(), "ONNX or TorchScript"),
  format: option(words("onnx", "torchscript"), "format", { otherwise: "found out from the content" }),
  inputShapes: option(
    record(list(either(count(1), nothing()))),
    "TorchScript: sizes by input, the batch's first, null where any serves",
  ),
  allowCode: option(boolean(), "TorchScript: trust the file, whose code may do more than compute", {
    default: false,
  }),
};
const modelObject = object({
  ...modelProperties,
  output: option(text(), "which output", { otherwise: "the first" }),
  simplify: option(boolean(), "fold the model before it is differentiated", { default: true }),
  allowRandom: option(boolean(), "differentiate a model that draws random numbers", { default: false }),
});
export type ModelSpec = FileTypeOf<typeof modelObject>;
const model: Shape<string | ModelSpec, string | ModelSpec> = named("model", () =>
  either(path(), modelObject),
);
const textEncoder = object({
  ...modelProperties,
  tokenizer: required(path(), "its tokenizer, JSON"),
  unknownWords: option(words("error", "ignore"), "words that the tokenizer does not know", {
    default: "error",
  }),
});

const latent = either(...latents.inFile);

export type SamplerSpec = KindSpec<typeof samplers>;
const sampler: Shape<unknown, SamplerSpec> = named("sampler", () => kindsInFile(samplers));

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
    one("class", oneOrMore(count(0)), "a class or several"),
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

const recipeNames = Object.keys(recipes) as (keyof typeof recipes)[];

const document = object({
  $schema: option(text(), "where an editor finds this schema"),
  generator: option(model, "latent → image"),
  encoder: option(model, "image → condition"),
  mapping: option(model, "the mapping network of mapped latents"),
  pairEncoder: option(model, "where training conditions come from, if not from the encoder"),
  textEncoder: option(textEncoder, "text → condition"),
  latent: option(latent, "the prior p(z)", { otherwise: "normal" }),
  generatorRange: option(
    list(number(), { least: 2, most: 2 }) as Shape as Shape<
      readonly [number, number],
      readonly [number, number]
    >,
    "black and white of the generator's images, two numbers such as [0, 1]",
    { otherwise: "found out, and told" },
  ),
  encoderKind: option(words(...encoderKinds), "what the encoder's output means", {
    otherwise: "found out, and told",
  }),
  energy: option(energyInFile, "what is minimised", { otherwise: "by the encoder" }),
  preprocess: option(list(stageInFile, { least: 0 }), "stages between generator and encoder", {
    otherwise: "none",
  }),
  augment: option(augmentationOptions, "average the energy over augmented copies", { otherwise: "not" }),
  translator: option(translatorSettings, "the network"),
  pairs: option(
    object({
      count: option(count(1), "pairs the folder shall have"),
      shardSize: option(count(1), "pairs a file"),
    }),
    "of `tr0n pairs`",
  ),
  train: option(trainOptions, "of `tr0n train`"),
  sample: option(
    object({
      condition: option(condition, "what is wanted of the samples"),
      count: option(count(1), "samples a condition", { default: 16 }),
      sampler: option(sampler, "how latents are drawn", { otherwise: "resample" }),
      scale: option(count(1, 64), "every pixel becomes scale × scale", { default: 1 }),
    }),
    "of `tr0n sample`",
  ),
  evaluate: option(
    object({
      recipes: option(
        list(
          either(
            words(...recipeNames),
            object({
              name: required(text(), "in the report"),
              sampler: required(sampler, "how it samples"),
            }),
          ),
        ),
        "ways to sample",
      ),
      classes: option(list(count(0)), "classes", { otherwise: "all" }),
      samples: option(count(2), "samples a class", { default: 300 }),
      reference: option(count(2), "exact samples a class", { default: 500 }),
      maxDraws: option(count(1), "draws of the prior before giving up on exact samples", {
        otherwise: "100 for each",
      }),
      features: option(text(), "value in the encoder to compare in"),
    }),
    "of `tr0n evaluate`",
  ),
  outputs: option(
    object({
      translator: option(path(), "written by train, read by sample and evaluate; .safetensors"),
      pairs: option(path(), "the folder that pairs writes"),
      image: option(path(), "the picture that sample writes; .png"),
      latents: option(path(), "latents and energies that sample writes; .safetensors"),
      report: option(path(), "the report that evaluate writes; .json"),
    }),
    "files that commands write",
  ),
  device: deviceOption,
  precision: precisionOption,
  maxBatch: option(count(1, 4096), "rows of one run of a model", { default: 64 }),
  seed: option(seedShape, "decides everything random", { otherwise: "random" }),
});

export { document as documentShape };

let schema: JsonDocument | undefined;
/** The document's JSON Schema. */
export function configSchema(): JsonDocument {
  return (schema ??= jsonDocument("A configuration of tr0n", document));
}
