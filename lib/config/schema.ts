/**
 * What a configuration file may hold: one table, which validate.ts checks files against and which is published as
 * schema/tr0n.schema.json. A new option is one line here and its use where the section is read.
 */
import { encoderKinds } from "../objective/encoder-kind.js";
import { recipes } from "../evaluate/recipes.js";

/** The part of JSON Schema (draft 7) that validate.ts knows. */
export interface Schema {
  readonly description?: string;
  readonly $ref?: `#/definitions/${string}`;
  readonly type?: "object" | "array" | "string" | "number" | "integer" | "boolean" | "null";
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  /** false, or what values under names that `properties` does not have must be. */
  readonly additionalProperties?: false | Schema;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly minLength?: number;
  readonly pattern?: string;
  readonly enum?: readonly string[];
  readonly const?: string;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly exclusiveMaximum?: number;
  /** Alternatives that differ in their type, in the value of `kind`, or in the keys that they require. */
  readonly anyOf?: readonly Schema[];
}

type Limits = Pick<Schema, "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum">;

const number = (description: string, limits: Limits = {}): Schema => ({
  description,
  type: "number",
  ...limits,
});
const integer = (description: string, minimum: number, maximum?: number): Schema => ({
  description,
  type: "integer",
  minimum,
  ...(maximum === undefined ? {} : { maximum }),
});
const flag = (description: string): Schema => ({ description, type: "boolean" });
const text = (description: string): Schema => ({ description, type: "string", minLength: 1 });
const choice = (description: string, ...words: string[]): Schema => ({
  description,
  type: "string",
  enum: words,
});
const list = (items: Schema, description?: string): Schema => ({
  ...(description === undefined ? {} : { description }),
  type: "array",
  items,
  minItems: 1,
});
const ref = (name: string, description?: string): Schema => ({
  ...(description === undefined ? {} : { description }),
  $ref: `#/definitions/${name}`,
});
/** A path, which is resolved against the file's folder. */
const path = (description?: string): Schema => ref("path", description);
const object = (
  properties: Record<string, Schema>,
  required: readonly string[] = [],
  description?: string,
): Schema => ({
  ...(description === undefined ? {} : { description }),
  type: "object",
  properties,
  ...(required.length > 0 ? { required } : {}),
  additionalProperties: false,
});
/** One of several objects that `kind` tells apart. */
const kind = (name: string, properties: Record<string, Schema> = {}, required: string[] = []): Schema =>
  object({ kind: { const: name }, ...properties }, ["kind", ...required]);
const oneOrMore = (item: Schema): Schema[] => [item, list(item)];

const positive = { exclusiveMinimum: 0 };
const atLeast0 = { minimum: 0 };
const numbers = list({ type: "number" });

const modelProperties = {
  model: path("ONNX or TorchScript"),
  format: choice("default: found out from the content", "onnx", "torchscript"),
  inputShapes: {
    description: "TorchScript: sizes by input, the batch's first, null where any serves",
    type: "object",
    additionalProperties: list({ anyOf: [{ type: "integer", minimum: 1 }, { type: "null" }] }),
  },
  allowCode: flag("TorchScript: trust the file, whose code may do more than compute; default false"),
} as const satisfies Record<string, Schema>;
const model: Schema = {
  anyOf: [
    path(),
    object(
      {
        ...modelProperties,
        output: text("which output; default the first"),
        simplify: flag("fold the model before it is differentiated; default true"),
        allowRandom: flag("differentiate a model that draws random numbers; default false"),
      },
      ["model"],
    ),
  ],
};

const dim = integer("numbers of a latent; default: what the generator's input has", 1);
const std = number("standard deviation; default 1", positive);
const simpleLatents = [
  kind("normal", { dim, std }),
  kind("truncatedNormal", { dim, std, bound: number("redrawn beyond ± this; default 2", positive) }),
  kind("uniform", { dim, low: number("default -1"), high: number("default 1") }),
];
const groupLatents = [
  ...simpleLatents,
  kind("table", { file: path("its rows: the only tensor of a .safetensors file, or JSON") }, ["file"]),
  kind("mapped", {
    base: { description: "what the mapping network takes; default normal", anyOf: simpleLatents },
    dim: integer("numbers of w, where the mapping network does not tell", 1),
  }),
];
const byInput = (description: string, additionalProperties: Schema): Schema => ({
  description,
  type: "object",
  additionalProperties,
});
const latent: Schema = {
  description: "the prior p(z); default normal",
  anyOf: [
    ...groupLatents,
    kind(
      "product",
      { groups: byInput("independent priors by the generator's inputs", { anyOf: groupLatents }) },
      ["groups"],
    ),
    kind(
      "hierarchical",
      {
        sizes: byInput("numbers of each group by the generator's inputs", integer("numbers", 1)),
        temperature: number("standard deviation of all groups; default 1", positive),
      },
      ["sizes"],
    ),
  ],
};

const energy: Schema = {
  anyOf: [
    kind("crossEntropy"),
    kind("cosine"),
    kind("squaredError"),
    kind("prior", { weight: number("default 1", atLeast0) }),
    kind("onnx", { model: path('ONNX, inputs "output" and "condition", output one number a row') }, [
      "model",
    ]),
    kind("sum", { terms: list(object({ energy: ref("energy"), weight: number("default 1") }, ["energy"])) }, [
      "terms",
    ]),
  ],
};

const side = integer("pixels", 1, 2 ** 14);
const channelNumbers = (description: string): Schema => ({
  description,
  anyOf: [{ type: "number" }, numbers],
});
const stage: Schema = {
  anyOf: [
    kind(
      "resize",
      { height: side, width: side, mode: choice("default linear", "linear", "cubic", "nearest") },
      ["height", "width"],
    ),
    kind("normalize", { mean: channelNumbers("or one a channel"), std: channelNumbers("or one a channel") }, [
      "mean",
      "std",
    ]),
    kind("affine", { scale: number("x · scale + offset"), offset: number("default 0") }, ["scale"]),
    kind("clamp", { min: number("default -1"), max: number("default 1") }),
    kind("grayscale", {
      channels: { description: "1 (default) or 3", type: "integer", minimum: 1, maximum: 3 },
    }),
    kind("clip", { size: side }),
  ],
};

const conditionNoise: Schema = {
  description: "noise on conditions while training; default none",
  anyOf: [
    kind("isotropic", { scale: number("c + scale·ε", atLeast0) }, ["scale"]),
    kind("adaptive", { scale: number("c + scale·‖c‖·ε/‖ε‖; default 1", atLeast0) }),
    kind("covariance", {
      covariance: list(numbers, "Σ, its rows; without it Σ is estimated"),
      from: choice("what Σ is estimated from", "pairs"),
      scale: number("with from: c + scale·ε; default 1", atLeast0),
    }),
  ],
};

const steps = integer("steps", 0, 2 ** 24 - 1);
const fidelity = number("weight of the energy against the prior; default 1", atLeast0);
const start = choice("where chains start", "translator", "mode", "prior");
/** A number, or "auto". */
const orAuto = (description: string, limits: Limits): Schema => ({
  description,
  anyOf: [
    { type: "number", ...limits },
    { type: "string", enum: ["auto"] },
  ],
});
const mala = {
  steps,
  fidelity,
  stepSize: orAuto("first step size in units of the prior; default auto: what training found", positive),
  targetAccept: number("accept probability to adapt to; default 0.57", { ...positive, exclusiveMaximum: 1 }),
  maxDrift: orAuto(
    "the energy's part of the drift is clipped to this norm, 0: not; default auto: the larger of 10 and 1.25·√d",
    atLeast0,
  ),
  adapt: {
    description: "adapt the step size while sampling (default true), not at all, or in a pilot run before",
    anyOf: [{ type: "boolean" }, { type: "string", enum: ["pilot"] }],
  },
  pilotSteps: integer("steps of the pilot run; default 50", 1, 2 ** 24 - 1),
} as const satisfies Record<string, Schema>;
const langevin = {
  steps,
  fidelity,
  learningRate: number("default 0.1", positive),
  momentum: number("default 0.99", { ...atLeast0, exclusiveMaximum: 1 }),
  noise: number("standard deviation of a step's noise; default 0.01", atLeast0),
  clip: number("norm to which the gradient is clipped, 0: not; default 1", atLeast0),
  bound: number("latents are clamped to ± this, 0: not; default the prior's", atLeast0),
  groups: byInput(
    "update rules of a product's groups by the generator's inputs; what is left out is the sampler's",
    object({
      rule: choice("default sgld, for tables adam", "sgld", "adam", "fixed"),
      learningRate: number("default for adam: 0.005", positive),
      momentum: number("of sgld", { ...atLeast0, exclusiveMaximum: 1 }),
      noise: number("default for adam: 0", atLeast0),
      clip: number("norm of the group's gradient, 0: not clipped", atLeast0),
      bound: number("default: the group's own", atLeast0),
    }),
  ),
};
const sampler: Schema = {
  anyOf: [
    kind("resample", {
      ...mala,
      rounds: integer("rounds of resampling and steps; default 1", 1, 4096),
      candidates: integer("candidates a sample; default 16", 1, 2 ** 20),
      maxCandidates: integer("how far they are doubled; default 256", 1, 2 ** 20),
      minEss: number("effective sample size below which they are doubled; default 4", atLeast0),
      priorFraction: number("share of candidates from the prior; default 0.1", { ...atLeast0, maximum: 1 }),
    }),
    kind("mala", { ...mala, start }),
    kind("langevin", { ...langevin, start }),
    kind("hybrid", { ...langevin, weightLearningRate: number("default 0.005", positive) }),
    kind("direct", { start }),
  ],
};

const condition: Schema = {
  anyOf: [
    object({ class: { description: "a class or several", anyOf: oneOrMore(integer("class", 0)) } }, [
      "class",
    ]),
    object(
      {
        embedding: {
          description: "the encoder's numbers, a list of such, or a JSON file of them",
          anyOf: [path(), numbers, list(numbers)],
        },
      },
      ["embedding"],
    ),
    object({ image: { description: "image files", anyOf: oneOrMore(path()) } }, ["image"]),
    object({ text: { description: "texts", anyOf: oneOrMore(text("a text")) } }, ["text"]),
    object(
      {
        all: list(
          {
            anyOf: [
              ref("condition"),
              object({ condition: ref("condition"), weight: number("default 1; negative: away from it") }, [
                "condition",
              ]),
            ],
          },
          "several at once: their energies are added",
        ),
      },
      ["all"],
    ),
  ],
};

const recipeNames = Object.keys(recipes);

/** The whole document. */
export const configSchema: Schema & { $schema: string; title: string; definitions: Record<string, Schema> } =
  {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "A configuration of tr0n",
    ...object({
      $schema: text("where an editor finds this schema"),
      generator: ref("model", "latent → image"),
      encoder: ref("model", "image → condition"),
      mapping: ref("model", "the mapping network of mapped latents"),
      pairEncoder: ref("model", "where training conditions come from, if not from the encoder"),
      textEncoder: object(
        {
          ...modelProperties,
          tokenizer: path("JSON"),
          unknownWords: choice("words that the tokenizer does not know; default error", "error", "ignore"),
        },
        ["model", "tokenizer"],
        "text → condition",
      ),
      latent,
      generatorRange: list(
        { type: "number" },
        "black and white of the generator's images, two numbers such as [0, 1]; default: found out, and told",
      ),
      encoderKind: choice("what the encoder's output means; default: found out, and told", ...encoderKinds),
      energy: ref("energy", "default: by the encoder"),
      preprocess: { description: "stages between generator and encoder", type: "array", items: ref("stage") },
      augment: object(
        {
          copies: integer("varied images that the energy is averaged over; default 8", 1, 4096),
          color: flag("brightness, saturation and contrast; default true"),
          translation: number("largest shift as a share of the side; default 0.125", {
            ...atLeast0,
            maximum: 1,
          }),
          resize: {
            description: "range of the factor; default [0.8, 1.2]; false: none",
            anyOf: [numbers, { type: "boolean" }],
          },
          cutout: number("sides of the cut-out as a share of the image's; default 0.5", {
            ...atLeast0,
            maximum: 1,
          }),
        },
        [],
        "average the energy over augmented copies; default: not",
      ),
      translator: object({
        components: integer("default 10", 1, 4096),
        hidden: integer("width; default 4 × the condition's size", 1, 2 ** 20),
        depth: integer("residual blocks; default 1", 1, 64),
        stds: choice("of all components or of each; default shared", "shared", "component"),
        auxiliary: text("group of a product that the network regresses, beside the mixture of the others"),
        space: choice("names of the heads in files, z_… or w_…; default z", "z", "w"),
        bound: number("means stay within ± this, 0: free; default the prior's", atLeast0),
        conditionNoise,
      }),
      pairs: object({
        count: integer("pairs the folder shall have", 1),
        shardSize: integer("pairs a file", 1),
      }),
      train: object({
        pairs: { description: "how many to make, or a folder of them", anyOf: [integer("pairs", 1), path()] },
        preset: choice("default recommended", "recommended", "official"),
        epochs: integer("passes over the pairs", 1),
        batchSize: integer("pairs a step", 1),
        learningRate: number("Adam's, at the start", positive),
        clip: number("norm to which the gradient is clipped, 0: not; default 1", atLeast0),
        alpha: number("weight of the loss on the latent, beside that of an auxiliary group", positive),
        loss: choice("default nll", "nll", "mse", "cosine"),
        temperature: number("cosine: of the relaxed draws; default 1", positive),
        calibrate: flag("start from the moments of the pairs' latents; default false"),
        heldOut: integer("pairs to validate on; default a tenth, at most 2000", 1),
        patience: integer("stop after so many epochs without a better held-out loss", 1),
        initialLogStd: number("where the log standard deviations start", { minimum: -20, maximum: 20 }),
        checkpoint: path("go on from this file, and keep it up to date"),
        checkpointSeconds: number("default 30", atLeast0),
      }),
      sample: object({
        condition: ref("condition"),
        count: integer("samples a condition; default 16", 1),
        sampler: ref("sampler", "default resample"),
        scale: integer("every pixel becomes scale × scale; default 1", 1, 64),
      }),
      evaluate: object({
        recipes: list({
          anyOf: [
            { type: "string", enum: recipeNames },
            object({ name: text("in the report"), sampler: ref("sampler") }, ["name", "sampler"]),
          ],
        }),
        classes: list(integer("class", 0), "default: all"),
        samples: integer("samples a class; default 300", 2),
        reference: integer("exact samples a class; default 500", 2),
        maxDraws: integer("draws of the prior before giving up on exact samples; default 100 for each", 1),
        features: text("value in the encoder to compare in"),
      }),
      outputs: object({
        translator: path("written by train, read by sample and evaluate; .safetensors"),
        pairs: path("the folder that pairs writes"),
        image: path("the picture that sample writes; .png"),
        latents: path("latents and energies that sample writes; .safetensors"),
        report: path("the report that evaluate writes; .json"),
      }),
      device: {
        description: "where translator and samplers compute; default auto",
        type: "string",
        pattern: "^(auto|cpu|cuda(:[0-9]{1,4})?)$",
      },
      precision: choice("how a GPU multiplies matrices; default fp32", "fp32", "tf32"),
      maxBatch: integer("rows of one run of a model; default 64", 1, 4096),
      seed: integer("decides everything random; default random", 0, Number.MAX_SAFE_INTEGER),
    }),
    definitions: {
      path: { description: "a path, relative to this file's folder", type: "string", minLength: 1 },
      model,
      energy,
      stage,
      sampler,
      condition,
    },
  };
