/** What fits what: models are tried on latents of the prior, and shapes, batches and energies checked against each other. */
import { shapeText } from "./check.js";
import { flattenComplete, type Energy, type FlatEnergy, energy as energies } from "./energy.js";
import { ArgumentError, ModelError, invalid } from "./errors.js";
import { energyGraph, stageChannels } from "./graphs.js";
import { latent as latents, type GroupLatent, type Latent } from "./latent.js";
import type { LatentInput } from "./latent-inputs.js";
import { latentTensors } from "./latent-inputs.js";
import { LatentSource, type OpenMapping } from "./latent-source.js";
import { OnnxModel, fits, type LoadedModel, type Model } from "./model.js";
import type { ObjectiveOptions } from "./objective.js";
import type { OutputFacts } from "./output-facts.js";
import type { Stage } from "./preprocess.js";
import { elementCount, type Tensor } from "./tensor.js";

/** Seed of the latents that models are tried with. */
const probeSeed = 0;

/** What was found out about an encoder. */
export interface FittedEncoder {
  readonly output: string;
  /** Shape of one row of its output. */
  readonly row: readonly number[];
  /** Rows it was exported for; 0 where that is open. */
  readonly batch: number;
  /** Its output is a softmax already. */
  readonly probabilities: boolean;
  readonly facts: OutputFacts;
}

/** What was found out about everything. */
export interface Parts {
  readonly latent: Latent;
  /** One latent as it goes into the pipeline: as the generator takes it, or [d] where `inputs` are made of it. */
  readonly latentShape: readonly number[];
  /** The generator's inputs; null where it takes latents as they are. */
  readonly inputs: readonly LatentInput[] | null;
  /** Draws latents, and knows their density. */
  readonly source: LatentSource;
  readonly imageShape: readonly number[];
  readonly generatorOutput: string;
  readonly generatorBatch: number;
  readonly encoder: FittedEncoder;
  readonly pair: FittedEncoder | null;
  readonly energy: Energy;
  readonly flat: FlatEnergy;
  /** Latents of the prior that the generator was tried with, as it takes them, and the images it made. */
  readonly tried: {
    readonly latents: Float32Array;
    readonly inputs: Record<string, Tensor>;
    readonly images: Tensor;
  };
}

/**
 * Checks that everything fits, running both models once on latents of the prior.
 *
 * @throws as Objective.create()
 */
export async function fit(options: ObjectiveOptions, openMapping: OpenMapping): Promise<Parts> {
  const { generator, encoder, signal } = options;
  const [latent, taken, declared] = fitInputs(generator, options.latent);
  const generatorOutput = pickOutput("generator", generator, options.generatorOutput);
  const [only] = taken;
  const plain = taken.length === 1 && !only!.broadcast;
  const latentShape = plain ? only!.row : [latent.dim];
  const source = await LatentSource.create(latent, openMapping, signal);
  let drawn: Pick<Parts["tried"], "latents" | "inputs"> = { latents: new Float32Array(0), inputs: {} };
  const images = await tryRows("generator", generator, declared, signal, async (n) => {
    const latents = await source.draw(probeSeed, 0, 0, n, { signal });
    drawn = { latents, inputs: latentTensors(latents, n, taken) };
    return (await generator.run(drawn.inputs, { signal }))[generatorOutput]!;
  });
  if (images.tensor.shape.length < 2 || images.tensor.shape[0] !== images.rows)
    throw new ArgumentError(
      `generator: expected an output [${images.rows}, …] for ${images.rows} latents, got ${shapeText(images.tensor.shape)} ` +
        `from ${generator.name}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  if (!images.tensor.data.every(Number.isFinite))
    throw new ModelError(
      "ERR_RUN_FAILED",
      `${generator.name}: gives numbers that are not finite for a latent of the prior`,
    );
  refuseRandom("generator", generator.name, await generator.facts(generatorOutput, signal));
  const imageShape = images.tensor.shape.slice(1);
  const staged = options.stages.reduce<readonly number[]>(
    (shape, item, index) => stagedShape(`preprocess[${index}]`, item, shape),
    imageShape,
  );
  const fitted = await fitEncoder("encoder", encoder, options.encoderOutput, staged, imageShape, signal);
  joinedBatch(images.fixed, fitted.batch, generator, encoder);

  const energy = options.energy ?? (fitted.facts.classifier ? energies.crossEntropy() : energies.cosine());
  const flat = flattenComplete(energy);
  const size = elementCount(fitted.row);
  checkEnergyFits(flat, encoder, fitted, size);

  let pair: FittedEncoder | null = null;
  if (options.pairEncoder !== undefined && typeof options.pairEncoder !== "function") {
    pair = await fitEncoder("pairEncoder", options.pairEncoder, undefined, staged, imageShape, signal);
    joinedBatch(images.fixed, pair.batch, generator, options.pairEncoder);
    if (elementCount(pair.row) !== size)
      throw new ArgumentError(
        `pairEncoder: expected conditions of ${size} numbers as the encoder gives, got ${elementCount(pair.row)}`,
        { code: "ERR_SHAPE_MISMATCH" },
      );
  }
  return {
    latent,
    latentShape,
    inputs: plain ? null : taken,
    source,
    imageShape,
    generatorOutput,
    generatorBatch: images.fixed,
    encoder: fitted,
    pair,
    energy,
    flat,
    tried: { ...drawn, images: images.tensor },
  };
}

function onlyInput(role: string, model: LoadedModel): Input {
  const [input] = model.inputs;
  if (model.inputs.length !== 1 || !input)
    throw new ArgumentError(
      `${role}: expected a model with one input, got ${model.inputs.length} in ${model.name}: ` +
        model.inputs.map((value) => `${value.name} ${shapeText(value.shape)}`).join(", ") +
        (role === "generator" && model.inputs.length > 1
          ? `. Give all of them a latent: latent.product({ ${model.inputs.map((v) => `${v.name}: …`).join(", ")} }); or export`
          : ". Export") +
        " it with the other inputs fixed, from a module that holds them as constants",
    );
  return checkInput(role, model, input);
}

type Input = LoadedModel["inputs"][number];

function checkInput(role: string, model: LoadedModel, input: Input): Input {
  if (input.type !== "float32")
    throw new ModelError(
      "ERR_MODEL_UNSUPPORTED",
      `${model.name}: expected a float32 input, got ${input.type}; export the model in float32`,
    );
  if (input.shape.length < 2)
    throw new ArgumentError(
      `${role}: expected an input [batch, …], got ${shapeText(input.shape)} in ${model.name}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  return input;
}

function pickOutput(role: string, model: LoadedModel, wanted: string | undefined): string {
  const output =
    wanted === undefined ? model.outputs[0] : model.outputs.find((value) => value.name === wanted);
  if (!output)
    throw invalid(
      `${role}Output`,
      `one of ${model.outputs.map((v) => JSON.stringify(v.name)).join(", ")}`,
      wanted,
    );
  if (output.type !== "float32")
    throw new ModelError(
      "ERR_MODEL_UNSUPPORTED",
      `${model.name}: expected a float32 output "${output.name}", got ${output.type}` +
        (model.outputs.some((value) => value.type === "float32")
          ? `; ${role}Output chooses another`
          : "; export the model in float32"),
    );
  return output.name;
}

/** The latent, N(0, I) by default, the generator's inputs made of it, and the rows that these declare (0: any number). */
function fitInputs(
  generator: LoadedModel,
  given: Latent | undefined,
): [Latent, readonly LatentInput[], number] {
  if (given?.kind !== "product") {
    const input = onlyInput("generator", generator);
    const [latent, row, broadcast] = fitLatent(generator.name, input.shape, given, "latent");
    return [latent, [{ name: input.name, begin: 0, size: latent.dim, row, broadcast }], input.shape[0] ?? 0];
  }
  const names = generator.inputs.map((input) => input.name);
  const missing = names.filter((name) => !Object.hasOwn(given.groups, name));
  const unknown = Object.keys(given.groups).filter((name) => !names.includes(name));
  if (missing.length > 0 || unknown.length > 0)
    throw new ArgumentError(
      `latent: expected a group for each input of the generator ${generator.name} (${names.join(", ")}), got ` +
        Object.keys(given.groups).join(", "),
      { code: "ERR_SHAPE_MISMATCH" },
    );
  if (names.length > 1 && !(generator instanceof OnnxModel))
    throw new ModelError(
      "ERR_MODEL_UNSUPPORTED",
      `generator: ${generator.name} is a TorchScript model with ${names.length} inputs; only ONNX generators may have ` +
        "several. Export it to ONNX, or from a module with one input that splits it",
    );
  let begin = 0;
  let batch = 0;
  const inputs = Object.entries(given.groups).map(([name, group]) => {
    const input = checkInput(
      "generator",
      generator,
      generator.inputs.find((value) => value.name === name)!,
    );
    const declared = input.shape[0] ?? 0;
    if (batch > 0 && declared > 0 && batch !== declared)
      throw new ArgumentError(
        `generator: expected inputs with the same batch, got ${batch} and ${declared} in ${generator.name}`,
        { code: "ERR_SHAPE_MISMATCH" },
      );
    batch = Math.max(batch, declared);
    const [, row, broadcast] = fitLatent(generator.name, input.shape, group, `latent.${name}`);
    const at = begin;
    begin += group.dim;
    return { name, begin: at, size: group.dim, row, broadcast };
  });
  return [given, inputs, batch];
}

/**
 * The latent of one input, the shape of a row of that, and whether w of a mapping network goes into every layer of it.
 */
function fitLatent(
  name: string,
  declared: readonly (number | null)[],
  given: GroupLatent | undefined,
  option: string,
): [GroupLatent, readonly number[], boolean] {
  if (given?.kind === "mapped" && declared.length === 3 && declared[1] !== null && declared[2] === given.dim)
    return [given, [declared[1]!, given.dim], true];
  const row = declared.slice(1);
  const open = row.filter((dim) => dim === null).length;
  const known = elementCount(row.filter((dim): dim is number => dim !== null));
  if (open > 1 || (open === 1 && !given))
    throw new ArgumentError(
      `${option}: the generator ${name} declares its input as ${shapeText(declared)}, which does not tell the latent's size; ` +
        (open > 1 ? "export it with fixed sizes" : "pass latent.normal(dim) or another latent"),
      { code: "ERR_SHAPE_MISMATCH" },
    );
  if (known === 0)
    throw new ArgumentError(
      `generator: expected an input with numbers in it, got ${shapeText(declared)} in ${name}`,
      {
        code: "ERR_SHAPE_MISMATCH",
      },
    );
  const latent = given ?? latents.normal(known);
  if (open === 0 ? latent.dim !== known : latent.dim % known !== 0)
    throw new ArgumentError(
      `${option}: expected ${open === 0 ? known : `a multiple of ${known}`} dimensions for the generator's input ` +
        `${shapeText(declared)}, got ${latent.dim}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  return [latent, row.map((dim) => dim ?? latent.dim / known), false];
}

/**
 * Runs a model on as many rows as it declares. Where it declares any number, on two; a model that then accepts only one
 * had its batch fixed by its export, whatever it declares.
 */
async function tryRows(
  role: string,
  model: LoadedModel,
  declared: number,
  signal: AbortSignal | undefined,
  run: (rows: number) => Promise<Tensor>,
): Promise<{ tensor: Tensor; rows: number; fixed: number }> {
  if (declared > maxFixedBatch)
    throw new ArgumentError(
      `${role}: expected a batch of at most ${maxFixedBatch} rows, got ${declared} in ${model.name}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  if (declared > 0) return { tensor: await run(declared), rows: declared, fixed: declared };
  let failure: unknown;
  try {
    const tensor = await run(2);
    if (tensor.shape[0] === 2) return { tensor, rows: 2, fixed: 0 };
  } catch (error) {
    if (signal?.aborted) throw error;
    failure = error;
  }
  try {
    return { tensor: await run(1), rows: 1, fixed: 1 };
  } catch (error) {
    throw failure ?? error;
  }
}

/** Batches that models are exported for; a larger number is taken for a mistake. */
const maxFixedBatch = 4096;

async function fitEncoder(
  role: "encoder" | "pairEncoder",
  model: LoadedModel,
  wanted: string | undefined,
  shape: readonly number[],
  imageShape: readonly number[],
  signal: AbortSignal | undefined,
): Promise<FittedEncoder> {
  const input = onlyInput(role, model);
  const output = pickOutput(role, model, wanted);
  const mismatch = (detail: string, cause?: unknown): ArgumentError => {
    const [, , height, width] = input.shape;
    const sides =
      typeof height === "number" && typeof width === "number" ? `${height}, ${width}` : "height, width";
    const preprocessed = shape === imageShape ? "" : `, ${shapeText(["batch", ...shape])} after preprocess`;
    return new ArgumentError(
      `${role}: ${model.name} takes ${shapeText(input.shape)}, but the generator makes images ` +
        `${shapeText(["batch", ...imageShape])}${preprocessed}${detail}. ${fitAdvice(shape, input.shape, sides)}`,
      { code: "ERR_SHAPE_MISMATCH", cause },
    );
  };
  if (!fits([null, ...shape], input.shape)) throw mismatch("");
  let result: { tensor: Tensor; rows: number; fixed: number };
  try {
    result = await tryRows(role, model, input.shape[0] ?? 0, signal, async (n) => {
      const images = { data: new Float32Array(n * elementCount(shape)), shape: [n, ...shape] };
      return (await model.run(images, { signal }))[output]!;
    });
  } catch (error) {
    if (error instanceof ModelError && error.code === "ERR_RUN_FAILED")
      throw mismatch(`, which it does not accept (${error.message})`, error);
    throw error;
  }
  const { tensor, rows, fixed } = result;
  const row = tensor.shape.slice(1);
  if (tensor.shape[0] !== rows || elementCount(row) === 0)
    throw new ArgumentError(
      `${role}: expected an output [${rows}, …] for ${rows} images, got ${shapeText(tensor.shape)} from ${model.name}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  const facts = await model.facts(output, signal);
  refuseRandom(role, model.name, facts);
  return { output, row, batch: fixed, probabilities: facts.maker === "Softmax", facts };
}

/** What makes images fit an encoder: the stages that are missing, or another export where no stage can help. */
function fitAdvice(images: readonly number[], wanted: readonly (number | null)[], sides: string): string {
  if (wanted.length !== 4)
    return "The encoder must take images [batch, channels, height, width], or what the generator makes";
  if (images.length !== 3)
    return "Export the generator so that it makes images [batch, channels, height, width], with a reshape at its end";
  const [from, to] = [images[0]!, wanted[1]];
  const gray = (from === 1 || from === 3) && (to === 1 || to === 3) && from !== to;
  const stages = [
    ...(gray ? [`stage.grayscale(${to === 1 ? "" : to})`] : []),
    ...(fits([null, null, images[1]!, images[2]!], [null, null, ...wanted.slice(2)])
      ? []
      : [`stage.resize(${sides})`]),
  ];
  return stages.length > 0 && (gray || to === null || from === to)
    ? `preprocess: [${stages.join(", ")}] makes them fit`
    : "Preprocess stages such as stage.resize(height, width) or stage.grayscale() make images fit";
}

/** The number of rows that two models joined were exported for; 0 where it is open. */
export function joinedBatch(first: number, second: number, generator?: Model, encoder?: Model): number {
  if (first > 0 && second > 0 && first !== second)
    throw new ArgumentError(
      `encoder: ${encoder?.name} was exported for batches of ${second}, but the generator ${generator?.name} for batches of ${first}; ` +
        "export one of them with a symbolic batch",
      { code: "ERR_SHAPE_MISMATCH" },
    );
  return first || second;
}

function checkEnergyFits(flat: FlatEnergy, encoder: LoadedModel, fitted: FittedEncoder, size: number): void {
  energyGraph(flat, [null, ...fitted.row], size, fitted.probabilities);
  if (size < 2 && flat.condition === "unit")
    throw new ArgumentError(
      `energy: cosine() compares directions, but ${encoder.name} gives 1 number, which has none but its sign; use ` +
        "energy.squaredError()",
      { code: "ERR_SHAPE_MISMATCH" },
    );
  if (flat.terms.some((term) => term.energy.kind === "crossEntropy")) {
    if (size < 2)
      throw new ArgumentError(
        `energy: crossEntropy() needs an encoder with two classes or more, got ${size} number in ${encoder.name}; use squaredError() for a single number`,
        { code: "ERR_SHAPE_MISMATCH" },
      );
    if (fitted.facts.maker === "Sigmoid")
      throw new ArgumentError(
        `energy: crossEntropy() needs scores or probabilities of classes that exclude each other, but ${encoder.name} ends in ` +
          "Sigmoid; use squaredError(), or energy.fromOnnx() with a binary cross-entropy",
      );
  }
}

/** [C, H, W] after a stage. */
export function stagedShape(name: string, item: Stage, shape: readonly number[]): readonly number[] {
  const channels = stageChannels(item);
  const [c, h, w] = shape as [number, number, number];
  if (shape.length !== 3 || (channels !== null && !channels.includes(c)))
    throw new ArgumentError(
      `${name}: stage.${item.kind} expected images [batch, ${channels?.join(" or ") ?? "channels"}, height, width], got ${shapeText(["batch", ...shape])}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  switch (item.kind) {
    case "resize":
      return [c, item.height, item.width];
    case "clip":
      return [c, item.size, item.size];
    case "grayscale":
      return [item.channels, h, w];
    default:
      return shape;
  }
}

/** A model that rolls dice has no energy that a chain could go down, and no seed makes its images come again. */
function refuseRandom(role: string, name: string, { random }: OutputFacts): void {
  if (random === null) return;
  throw new ModelError(
    "ERR_MODEL_UNSUPPORTED",
    `${role}: ${name} draws random numbers of its own at every run (${random}), so the same latent gives other results ` +
      'each time. Export it with fixed noise (StyleGAN: noise_mode="const") or in evaluation mode',
  );
}
