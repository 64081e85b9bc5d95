/**
 * Generator → stages → encoder → energy, joined into one graph, and the native objects that run it: energies and
 * gradients for the sampler, conditions for training pairs, images for results. Every session has one thread and rows are
 * run in blocks on tr0n's pool, so results do not depend on how a batch is split.
 */
import { shapeText } from "./check.js";
import { differentiateSimplified } from "./differentiate-model.js";
import {
  flattenComplete,
  type ConditionKind,
  type Energy,
  type FlatEnergy,
  energy as energies,
} from "./energy.js";
import { ArgumentError, ModelError, Tr0nError, invalid } from "./errors.js";
import {
  conditionGraph,
  energyGraph,
  lastOperator,
  randomOperator,
  stageChannels,
  stageGraph,
} from "./graphs.js";
import { abortable, callNative, runJob } from "./job.js";
import { latent as latents, nativePrior, type Latent } from "./latent.js";
import { fits, type Model, type OnnxModel } from "./model.js";
import { native, type NativeObjective, type NativeRowMap, type NativeSession } from "./native.js";
import { compose, type Graph } from "./onnx/index.js";
import type { Stage } from "./preprocess.js";
import { elementCount, type Tensor } from "./tensor.js";
import { openGraph } from "./weights.js";

/** A function from images [n, C, H, W], as the generator gives them, to conditions [n, m]. */
export type PairFunction = (images: Tensor) => Promise<Tensor>;

export interface ObjectiveOptions {
  generator: OnnxModel;
  encoder: OnnxModel;
  generatorOutput?: string;
  encoderOutput?: string;
  latent?: Latent;
  energy?: Energy;
  stages: readonly Stage[];
  pairEncoder?: OnnxModel | PairFunction;
  maxBatch: number;
  signal?: AbortSignal;
}

/** Seed of the latents that models are tried with. */
const probeSeed = 0n;

export class Objective {
  readonly generator: OnnxModel;
  readonly encoder: OnnxModel;
  readonly stages: readonly Stage[];
  readonly pairEncoder: OnnxModel | PairFunction | undefined;
  readonly latent: Latent;
  /** One latent as the generator takes it, e.g. [64] or [64, 1, 1]. */
  readonly latentShape: readonly number[];
  /** [C, H, W] */
  readonly imageShape: readonly number[];
  /** m */
  readonly conditionSize: number;
  readonly energy: Energy;
  readonly flat: FlatEnergy;
  readonly generatorOutput: string;
  readonly encoderOutput: string;
  private opened: { dispose(): void }[] = [];
  private readonly lazy = new Map<string, Promise<unknown>>();
  private readonly maxBatch: number;
  private disposed = false;

  private constructor(
    options: ObjectiveOptions,
    private readonly parts: Parts,
  ) {
    this.generator = options.generator;
    this.encoder = options.encoder;
    this.stages = options.stages;
    this.pairEncoder = options.pairEncoder;
    this.maxBatch = options.maxBatch;
    this.latent = parts.latent;
    this.latentShape = parts.latentShape;
    this.imageShape = parts.imageShape;
    this.conditionSize = elementCount(parts.encoder.row);
    this.energy = parts.energy;
    this.flat = parts.flat;
    this.generatorOutput = parts.generatorOutput;
    this.encoderOutput = parts.encoder.output;
  }

  /**
   * Checks that everything fits, running both models once on latents of the prior.
   *
   * @throws ArgumentError (ERR_SHAPE_MISMATCH where two things do not fit), ModelError, AbortError
   */
  static async create(options: ObjectiveOptions): Promise<Objective> {
    return new Objective(options, await fit(options));
  }

  get conditionKind(): ConditionKind {
    return this.flat.condition;
  }

  /** Numbers of a latent. */
  get latentSize(): number {
    return this.latent.dim;
  }

  /** Latents [n, d] → images. */
  images(signal?: AbortSignal): Promise<NativeRowMap> {
    return this.once("images", signal, async () => {
      const graph = await this.generator.graph();
      keepOutput(graph, this.generatorOutput);
      return this.rowMap(graph, `${this.generator.name} (images)`, this.parts.generatorBatch);
    });
  }

  /** Latents [n, d] → conditions [n, m] for training. Not for a pairEncoder that is a function. */
  conditions(signal?: AbortSignal): Promise<NativeRowMap> {
    return this.once("conditions", signal, async () => {
      const { pairEncoder } = this;
      if (typeof pairEncoder === "function") throw new Tr0nError("ERR_INTERNAL", "a function has no graph");
      const encoder = pairEncoder ?? this.encoder;
      const fitted = pairEncoder ? this.parts.pair! : this.parts.encoder;
      const graph = await this.encoded(encoder, fitted);
      const { name, dims } = graph.outputs[0]!;
      const condition = conditionGraph(dims!, this.conditionKind, fitted.probabilities);
      const joined = compose(graph, condition, { output: name }, { prefix: "condition/", keepOutputs: [] });
      return this.rowMap(joined, "generator → encoder", joinedBatch(this.parts.generatorBatch, fitted.batch));
    });
  }

  /**
   * E(z, c), and its gradient where `gradient` is true.
   *
   * @throws ModelError ERR_NO_GRADIENT when the gradient is wanted and an operator on its path has none
   */
  async native(gradient: boolean, signal?: AbortSignal): Promise<NativeObjective> {
    if (!gradient && this.lazy.has("gradient")) return this.native(true, signal);
    return this.once(gradient ? "gradient" : "energy", signal, async () => {
      const graph = await this.joined();
      const [z, c] = graph.inputs.map((input) => input.name) as [string, string];
      const energyOutput = graph.outputs[0]!.name;
      let gradientSession: NativeSession | null = null;
      let gradientOutput = "";
      if (gradient) {
        const differentiated = await differentiateSimplified(
          graph,
          { wrt: [z], outputs: [energyOutput], seed: "ones" },
          { name: "generator → energy", simplify: true },
        );
        gradientOutput = `grad_${z}`;
        gradientSession = await this.session(differentiated.graph, "energy and gradient");
      }
      const energySession = await this.once("energySession", undefined, () => this.session(graph, "energy"));
      return this.keep(
        callNative(() =>
          native().createObjective({
            energy: energySession,
            gradient: gradientSession,
            input: z,
            conditionInput: c,
            energyOutput,
            gradientOutput,
            inputShape: this.latentShape,
            conditionShape: [this.conditionSize],
            fixedBatch: joinedBatch(this.parts.generatorBatch, this.parts.encoder.batch),
            maxBatch: this.maxBatch,
          }),
        ),
      );
    });
  }

  /** Generator, stages, encoder and energy as one graph: inputs z and c, output E [N]. */
  async joined(): Promise<Graph> {
    const graph = await this.encoded(this.encoder, this.parts.encoder);
    const { name, dims } = graph.outputs[0]!;
    const energy = energyGraph(this.flat, dims!, this.conditionSize, this.parts.encoder.probabilities);
    return compose(graph, energy, { output: name }, { prefix: "energy/", keepOutputs: [] });
  }

  /** Frees all sessions; running native jobs finish or are cancelled by their owners. */
  dispose(): void {
    this.disposed = true;
    for (const item of this.opened.reverse()) item.dispose();
    this.opened = [];
    this.lazy.clear();
  }

  /** Generator → stages → encoder as one graph with one output, whose dimensions are declared. */
  private async encoded(encoder: OnnxModel, fitted: FittedEncoder): Promise<Graph> {
    let graph = await this.generator.graph();
    keepOutput(graph, this.generatorOutput);
    const input = graph.inputs[0]!;
    input.dims = [input.dims?.[0] ?? null, ...this.latentShape];
    const batch = graph.outputs[0]!.dims?.[0] ?? null;
    graph.outputs[0]!.dims = [batch, ...this.imageShape];
    let shape = this.imageShape;
    for (const [index, item] of this.stages.entries()) {
      const next = stageGraph(item, [batch, ...shape]);
      const connections = { image: graph.outputs[0]!.name };
      graph = compose(graph, next, connections, { prefix: `stage_${index}/`, keepOutputs: [] });
      shape = stagedShape(`preprocess[${index}]`, item, shape);
      graph.outputs[0]!.dims = [batch, ...shape];
    }
    const second = await encoder.graph();
    keepOutput(second, fitted.output);
    const connections = { [second.inputs[0]!.name]: graph.outputs[0]!.name };
    graph = compose(graph, second, connections, { prefix: "encoder/", keepOutputs: [] });
    graph.outputs[0]!.dims = [graph.outputs[0]!.dims?.[0] ?? null, ...fitted.row];
    return graph;
  }

  private async session(graph: Graph, name: string): Promise<NativeSession> {
    return this.keep(await openGraph(graph, { threads: 1, name, what: "opening a session" }));
  }

  private async rowMap(graph: Graph, name: string, fixedBatch: number): Promise<NativeRowMap> {
    const session = await this.session(graph, name);
    return this.keep(
      callNative(() =>
        native().createRowMap({
          session,
          input: graph.inputs[0]!.name,
          inputShape: this.latentShape,
          outputs: [graph.outputs[0]!.name],
          fixedBatch,
          maxBatch: this.maxBatch,
        }),
      ),
    );
  }

  private keep<T extends { dispose(): void }>(item: T): T {
    if (this.disposed) {
      item.dispose();
      throw new Tr0nError("ERR_DISPOSED", "the Tr0n has been disposed of");
    }
    this.opened.push(item);
    return item;
  }

  /** Makes a native object once; a failure is tried again at the next call. The signal only ends this call's wait. */
  private async once<T>(key: string, signal: AbortSignal | undefined, make: () => Promise<T>): Promise<T> {
    let made = this.lazy.get(key) as Promise<T> | undefined;
    if (!made) {
      made = make();
      this.lazy.set(key, made);
      made.catch(() => this.lazy.delete(key));
    }
    return abortable("preparing the models", made, signal);
  }
}

/** What was found out about an encoder. */
interface FittedEncoder {
  readonly output: string;
  /** Shape of one row of its output. */
  readonly row: readonly number[];
  /** Rows it was exported for; 0 where that is open. */
  readonly batch: number;
  /** Its output is a softmax already. */
  readonly probabilities: boolean;
  /** It looks like a classifier. */
  readonly classifier: boolean;
}

interface Parts {
  readonly latent: Latent;
  readonly latentShape: readonly number[];
  readonly imageShape: readonly number[];
  readonly generatorOutput: string;
  readonly generatorBatch: number;
  readonly encoder: FittedEncoder;
  readonly pair: FittedEncoder | null;
  readonly energy: Energy;
  readonly flat: FlatEnergy;
}

async function fit(options: ObjectiveOptions): Promise<Parts> {
  const { generator, encoder, signal } = options;
  const generatorInput = onlyInput("generator", generator);
  const generatorOutput = pickOutput("generator", generator, options.generatorOutput);
  const [latent, latentShape] = fitLatent(generator.name, generatorInput.shape, options.latent);
  const declared = generatorInput.shape[0] ?? 0;
  const images = await tryRows("generator", generator, declared, signal, async (n) => {
    const z = await runJob("create", signal, () =>
      native().drawPrior(nativePrior(latent), probeSeed, 0, 0, n),
    );
    return (await generator.run({ data: z, shape: [n, ...latentShape] }, { signal }))[generatorOutput]!;
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
  refuseRandom("generator", generator.name, await generator.graph(signal), generatorOutput);
  const imageShape = images.tensor.shape.slice(1);
  const staged = options.stages.reduce<readonly number[]>(
    (shape, item, index) => stagedShape(`preprocess[${index}]`, item, shape),
    imageShape,
  );
  const fitted = await fitEncoder("encoder", encoder, options.encoderOutput, staged, imageShape, signal);
  joinedBatch(images.fixed, fitted.batch, generator, encoder);

  const energy = options.energy ?? (fitted.classifier ? energies.crossEntropy() : energies.cosine());
  const flat = flattenComplete(energy);
  const size = elementCount(fitted.row);
  await checkEnergyFits(flat, encoder, fitted, size);

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
    imageShape,
    generatorOutput,
    generatorBatch: images.fixed,
    encoder: fitted,
    pair,
    energy,
    flat,
  };
}

function onlyInput(role: string, model: OnnxModel): OnnxModel["inputs"][number] {
  const [input] = model.inputs;
  if (model.inputs.length !== 1 || !input)
    throw new ArgumentError(
      `${role}: expected a model with one input, got ${model.inputs.length} in ${model.name}: ` +
        model.inputs.map((value) => `${value.name} ${shapeText(value.shape)}`).join(", ") +
        ". Export it with the other inputs fixed, from a module that holds them as constants",
    );
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

function pickOutput(role: string, model: OnnxModel, wanted: string | undefined): string {
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

/** The latent, N(0, I) by default, and the shape of one row of the generator's input. */
function fitLatent(
  name: string,
  declared: readonly (number | null)[],
  given: Latent | undefined,
): [Latent, readonly number[]] {
  const row = declared.slice(1);
  const open = row.filter((dim) => dim === null).length;
  const known = elementCount(row.filter((dim): dim is number => dim !== null));
  if (open > 1 || (open === 1 && !given))
    throw new ArgumentError(
      `latent: the generator ${name} declares its input as ${shapeText(declared)}, which does not tell the latent's size; ` +
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
      `latent: expected ${open === 0 ? known : `a multiple of ${known}`} dimensions for the generator's input ` +
        `${shapeText(declared)}, got ${latent.dim}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  return [latent, row.map((dim) => dim ?? latent.dim / known)];
}

/**
 * Runs a model on as many rows as it declares. Where it declares any number, on two; a model that then accepts only one
 * had its batch fixed by its export, whatever it declares.
 */
async function tryRows(
  role: string,
  model: OnnxModel,
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
  model: OnnxModel,
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
  const graph = await model.graph(signal);
  refuseRandom(role, model.name, graph, output);
  const last = lastOperator(graph, output);
  return {
    output,
    row,
    batch: fixed,
    probabilities: last === "Softmax",
    classifier: last === "Softmax" || last === "LogSoftmax" || /logit|prob|class|score/i.test(output),
  };
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
function joinedBatch(first: number, second: number, generator?: Model, encoder?: Model): number {
  if (first > 0 && second > 0 && first !== second)
    throw new ArgumentError(
      `encoder: ${encoder?.name} was exported for batches of ${second}, but the generator ${generator?.name} for batches of ${first}; ` +
        "export one of them with a symbolic batch",
      { code: "ERR_SHAPE_MISMATCH" },
    );
  return first || second;
}

async function checkEnergyFits(
  flat: FlatEnergy,
  encoder: OnnxModel,
  fitted: FittedEncoder,
  size: number,
): Promise<void> {
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
    if (lastOperator(await encoder.graph(), fitted.output) === "Sigmoid")
      throw new ArgumentError(
        `energy: crossEntropy() needs scores or probabilities of classes that exclude each other, but ${encoder.name} ends in ` +
          "Sigmoid; use squaredError(), or energy.fromOnnx() with a binary cross-entropy",
      );
  }
}

/** [C, H, W] after a stage. */
function stagedShape(name: string, item: Stage, shape: readonly number[]): readonly number[] {
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
function refuseRandom(role: string, name: string, graph: Graph, output: string): void {
  const random = randomOperator(graph, output);
  if (random === null) return;
  throw new ModelError(
    "ERR_MODEL_UNSUPPORTED",
    `${role}: ${name} draws random numbers of its own at every run (${random}), so the same latent gives other results ` +
      'each time. Export it with fixed noise (StyleGAN: noise_mode="const") or in evaluation mode',
  );
}

/** Drops all outputs but one. */
function keepOutput(graph: Graph, name: string): void {
  graph.outputs = graph.outputs.filter((output) => output.name === name);
}
