/** What fits what: models are tried on latents of the prior, and shapes, batches and energies checked against each other. */
import { shapeText } from "../base/check.js";
import {
  batchFirst,
  checkRows,
  maxFixedBatch,
  otherAxes,
  type AxisSearch,
  type Change,
  type Tried,
} from "../model/batch-axis.js";
import type { Decisions } from "../base/decisions.js";
import {
  checkFiniteRows,
  checkKind,
  decideKind,
  formerKind,
  formerKindTold,
  lookAtRows,
  type DecidedKind,
  type EncoderKind,
  type KindQuestion,
} from "./encoder-kind.js";
import { flattenComplete, type Energy, type FlatEnergy, energy as energies } from "./energy.js";
import { ArgumentError, ModelError, invalid } from "../base/errors.js";
import { concatenate } from "../base/tensor.js";
import { rangeProblems, stagedRanges } from "./expected-range.js";
import { decideRange, lookAtValues } from "./generator-range.js";
import { defaultRange, rangeText, type Range } from "../base/range.js";
import { energyGraph, stageChannels } from "./graphs.js";
import { tellBarrier, triedBarrier } from "./gradient-check.js";
import { graphBarrier } from "../model/gradient-barrier.js";
import { latent as latents, type GroupLatent, type Latent } from "../latent/latent.js";
import type { LatentInput } from "../latent/inputs.js";
import { latentTensors } from "../latent/inputs.js";
import { LatentSource, type OpenMapping } from "../latent/source.js";
import { OnnxModel, fits, type LoadedModel } from "../model/model.js";
import type { Model } from "../model/interface.js";
import type { ObjectiveOptions } from "./options.js";
import type { GradientBarrier, OutputFacts } from "../model/output-facts.js";
import { openingStage } from "../base/opening.js";
import type { Stage } from "./stages.js";
import { cycledRows, probeRows, runRows, runStages } from "./probe.js";
import { imageRows, latentRows } from "./probe-rows.js";
import { elementCount, type Tensor } from "../base/tensor.js";
import { ofWholeNumbers } from "../model/whole-numbers.js";

/** Seed of the latents that models are tried with. */
export const probeSeed = 0;

/** What was found out about an encoder. */
export interface FittedEncoder {
  /** The encoder, or a view of it whose first axes are the batch. */
  readonly model: LoadedModel;
  readonly output: string;
  /** Shape of one row of its output. */
  readonly row: readonly number[];
  /** Rows it was exported for; 0 where that is open. */
  readonly batch: number;
  /** What the numbers of its output mean. */
  readonly kind: EncoderKind;
  readonly facts: OutputFacts;
  /** Its output for the first images of the prior. */
  readonly outputs: Tensor;
  /** Why it has no gradient; null where it has one, as far as one can see. */
  readonly stop: GradientBarrier | null;
}

/** Images of the generator that encoders are tried with. */
interface Probe {
  /** Of one image as the generator makes it, and as encoders take it. */
  readonly imageShape: readonly number[];
  readonly shape: readonly number[];
  /** [n, …shape] */
  readonly images: Float32Array;
  readonly decisions: Decisions;
}

/** What was found out about everything. */
export interface Parts {
  /** The generator, or a view of it whose first axes are the batch. */
  readonly generator: LoadedModel;
  readonly latent: Latent;
  /** One latent as it goes into the pipeline: as the generator takes it, or [d] where `inputs` are made of it. */
  readonly latentShape: readonly number[];
  /** The generator's inputs; null where it takes latents as they are. */
  readonly inputs: readonly LatentInput[] | null;
  /** Draws latents, and knows their density. */
  readonly source: LatentSource;
  readonly imageShape: readonly number[];
  /** The numbers of black and of white. */
  readonly range: Range;
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
  /** Why the energy has no gradient with respect to the latent; null where it has one, as far as one can see. */
  readonly barrier: GradientBarrier | null;
}

/**
 * Checks that everything fits, running both models on latents of the prior: on a few rows where everything is known, else
 * on as many as it takes to see what their numbers are.
 *
 * @throws as Objective.create()
 */
export async function fit(options: ObjectiveOptions, openMapping: OpenMapping): Promise<Parts> {
  const { decisions, signal } = options;
  const { generator: model } = options;
  const output = options.generatorOutput ?? model.outputs[0]?.name ?? "";
  const search = {
    ...{ role: "generator", model, output, decisions, signal },
    rowsOf: latentRows(options.latent, probeSeed, signal),
  };
  return fitBatchFirst(await batchFirst(search), search, options, openMapping);
}

/** The same with a generator whose first axes are the batch, or are taken for it until a probe shows others. */
async function fitBatchFirst(
  generator: LoadedModel,
  search: AxisSearch,
  options: ObjectiveOptions,
  openMapping: OpenMapping,
): Promise<Parts> {
  const { encoder, signal, decisions, origin = "options" } = options;
  const [latent, taken, declared] = fitInputs(generator, options.latent);
  const generatorOutput = pickOutput("generator", generator, options.generatorOutput);
  const generatorFacts = await generator.facts(generatorOutput, signal);
  refuseRandom("generator", generator.name, generatorFacts);
  const [only] = taken;
  const plain = taken.length === 1 && !only!.broadcast;
  const latentShape = plain ? only!.row : [latent.dim];
  const step = openingStage(options.onOpening, "models", 2);
  const source = await LatentSource.create(latent, openMapping, signal);
  let drawn: Pick<Parts["tried"], "latents" | "inputs"> = { latents: new Float32Array(0), inputs: {} };
  const generate = async (first: number, n: number, change: Change = "none"): Promise<Tensor> => {
    const latents = await source.draw(probeSeed, 0, first, n, { signal });
    const last = (n - 1) * latent.dim;
    if (change !== "none") latents.copyWithin(last, 0, latent.dim);
    if (change === "far") for (let i = last; i < latents.length; i++) latents[i]! *= -8;
    const inputs = latentTensors(latents, n, taken);
    if (first === 0 && change === "none") drawn = { latents, inputs };
    return (await generator.run(inputs, { signal }))[generatorOutput]!;
  };
  const checked = await checkRows(
    { ...search, model: generator },
    await tryRows("generator", generator, rowsAtOnce(search, generatorFacts, declared), signal, (n) =>
      generate(0, n),
    ),
    (n, change) => generate(0, n, change),
  );
  if (checked instanceof OnnxModel) return fitBatchFirst(checked, search, options, openMapping);
  const images = checked;
  if (images.tensor.shape.length < 2)
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
  step();
  const imageShape = images.tensor.shape.slice(1);
  const shapes = [imageShape];
  for (const [index, item] of options.stages.entries())
    shapes.push([...stagedShape(`preprocess[${index}]`, item, shapes.at(-1)!)]);
  const staged = shapes.at(-1)!;

  const given = options.energy && flattenComplete(options.energy);
  const crossEntropy = given && hasCrossEntropy(given);
  const encoderInput = onlyInput(
    "encoder",
    encoder instanceof OnnxModel ? encoder.withFloatEdges() : encoder,
  );
  // The batch may turn out to be another axis than the first.
  if (!encoderInput.shape.some((_, axis, all) => fits(staged, all.toSpliced(axis, 1))))
    checkTakes("encoder", encoder, encoderInput, staged, imageShape);
  // Everything that a file says needs no look.
  const wanted = origin === "file" ? images.rows : probeRows(generatorFacts.rowFlops, imageShape, staged);
  const more = await runRows(images.rows, wanted, images.fixed, generate);
  const probed = concatenate([images.tensor.data, ...more]);
  if (origin === "options") tellStill(probed, elementCount(imageShape), decisions);
  const range = fitRange(options, imageShape, generatorFacts, probed);
  const ranges = stagedRanges(range, options.stages);
  const probe: Probe = {
    imageShape,
    shape: staged,
    images: await runStages(probed, shapes, options.stages, ranges.before, signal),
    decisions,
  };
  const fitted = await fitEncoder(
    "encoder",
    encoder,
    options.encoderOutput,
    probe,
    signal,
    (question) => encoderKindOf(options, { ...question, crossEntropy }),
    (told) => decisions.add({ option: "encoderKind", ...told }),
  );
  step();
  joinedBatch(images.fixed, fitted.batch, generator, encoder);
  if (origin === "options" && isPicture(imageShape))
    for (const problem of rangeProblems(range, options.stages, {
      name: encoder.name,
      scaling: fitted.facts.scaling,
    }))
      decisions.add(problem);

  const energy =
    options.energy ?? (fitted.kind === "embedding" ? energies.cosine() : energies.crossEntropy());
  const flat = flattenComplete(energy);
  const size = elementCount(fitted.row);
  const own = checkEnergyFits(flat, encoder, fitted, size, options.encoderKind !== undefined);
  const generatorStop =
    generator instanceof OnnxModel
      ? named(generator, generatorFacts.stop)
      : await triedBarrier(generator, drawn.inputs, generatorOutput, images.tensor, signal);
  const barrier = generatorStop ?? fitted.stop ?? own;
  if (barrier) tellBarrier(barrier, options.decisions);

  let pair: FittedEncoder | null = null;
  if (options.pairEncoder !== undefined && typeof options.pairEncoder !== "function") {
    pair = await fitEncoder(
      "pairEncoder",
      options.pairEncoder,
      undefined,
      probe,
      signal,
      (question) => pairKindOf(options, { ...question, crossEntropy: hasCrossEntropy(flat) }),
      ({ value, ...told }) =>
        decisions.add({ option: "pairEncoder", value: `its output is taken for ${value}`, ...told }),
    );
    joinedBatch(images.fixed, pair.batch, generator, options.pairEncoder);
    if (elementCount(pair.row) !== size)
      throw new ArgumentError(
        `pairEncoder: expected conditions of ${size} numbers as the encoder gives, got ${elementCount(pair.row)}`,
        { code: "ERR_SHAPE_MISMATCH" },
      );
  }
  return {
    generator,
    latent,
    latentShape,
    inputs: plain ? null : taken,
    source,
    imageShape,
    range,
    generatorOutput,
    generatorBatch: images.fixed,
    encoder: fitted,
    pair,
    energy,
    flat,
    tried: { ...drawn, images: images.tensor },
    barrier,
  };
}

/** What the encoder's output means: as it is given or as a former file took it, or found out. */
function encoderKindOf({ encoderKind, origin }: ObjectiveOptions, question: KindQuestion): DecidedKind {
  if (origin === "former file") {
    const kind = question.crossEntropy ? formerKind(question.facts) : "embedding";
    return { kind, told: formerKindTold(question, kind) };
  }
  if (encoderKind === undefined) return decideKind(question);
  return {
    kind: encoderKind,
    told: origin === "file" ? null : checkKind(encoderKind, question, "encoderKind"),
  };
}

/** The same of a pairEncoder, whose conditions are those of the energy. */
function pairKindOf({ pairEncoderKind, origin }: ObjectiveOptions, question: KindQuestion): DecidedKind {
  if (!question.crossEntropy) return { kind: "embedding", told: null };
  if (pairEncoderKind !== undefined) return { kind: pairEncoderKind, told: null };
  if (origin === "former file") return { kind: formerKind(question.facts), told: null };
  return decideKind(question);
}

/** Takes down that the generator makes one image whatever it is given. */
function tellStill(images: Float32Array, size: number, decisions: Decisions): void {
  const count = images.length / size;
  for (let i = size; i < images.length; i++) if (images[i] !== images[i % size]) return;
  if (count > 1)
    decisions.add({
      option: "latent",
      value: "it has no effect",
      reason: `the generator makes the same image of ${count} draws of it`,
      certain: false,
    });
}

/** The generator's range: as it is given, or found out and told. */
function fitRange(
  { generator, generatorRange, stages, augment, origin, decisions }: ObjectiveOptions,
  imageShape: readonly number[],
  { bounds }: OutputFacts,
  probed: Float32Array,
): Range {
  if (generatorRange !== undefined) return generatorRange;
  // Whoever makes no pictures has no black and white, and nothing here asks for them.
  if (!isPicture(imageShape) && augment === undefined) return defaultRange;
  const seen = lookAtValues(probed, elementCount(imageShape));
  if (!Number.isFinite(seen.min) || !Number.isFinite(seen.max))
    throw new ModelError(
      "ERR_RUN_FAILED",
      `${generator.name}: gives numbers that are not finite for a latent of the prior`,
    );
  const { range, reason, certain } = decideRange(bounds, seen);
  const former =
    origin === "former file" && (augment !== undefined || stages.some(({ kind }) => kind === "clip"));
  const decided = former ? defaultRange : range;
  decisions.add({
    option: "generatorRange",
    value: rangeText(decided),
    reason: former
      ? `the file is of a version that took all generators so, and was trained like that (train it again where that is wrong); ${reason}`
      : `${reason}; the encoder receives values in ${rangeText(stagedRanges(range, stages).received)}`,
    certain: former ? rangeText(range) === rangeText(defaultRange) : certain,
  });
  return decided;
}

/** [1 or 3, H, W] */
function isPicture(shape: readonly number[]): boolean {
  return shape.length === 3 && (shape[0] === 1 || shape[0] === 3);
}

function hasCrossEntropy({ terms }: FlatEnergy): boolean {
  return terms.some((term) => term.energy.kind === "crossEntropy");
}

/** What stops a gradient, behind the name of the model that it lies in. */
function named({ name }: Model, stop: GradientBarrier | null): GradientBarrier | null {
  return stop && { ...stop, message: `in ${name} ${stop.message}` };
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
): Promise<Tried> {
  if (declared > maxFixedBatch)
    throw new ArgumentError(
      `${role}: expected a batch of at most ${maxFixedBatch} rows, got ${declared} in ${model.name}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  if (declared > 0) return { tensor: await run(declared), rows: declared, fixed: declared };
  let failure: unknown;
  try {
    return { tensor: await run(2), rows: 2, fixed: 0 };
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

/** Rows of one run: as declared, but where activations are quantised by the whole batch only a row alone is itself. */
function rowsAtOnce({ role, model, decisions }: AxisSearch, facts: OutputFacts, declared: number): number {
  if (declared > 0 || !facts.scalesByBatch) return declared;
  decisions.add({
    option: role,
    value: "rows run one by one",
    reason: `${model.name} finds the scales of quantised activations in the whole batch, where rows would influence each other`,
    certain: true,
  });
  return 1;
}

/** An encoder does not take the images that there are. */
function mismatch(
  role: string,
  model: LoadedModel,
  input: Input,
  shape: readonly number[],
  imageShape: readonly number[],
  detail: string,
  cause?: unknown,
): ArgumentError {
  const [, , height, width] = input.shape;
  const sides =
    typeof height === "number" && typeof width === "number" ? `${height}, ${width}` : "height, width";
  const preprocessed = shape === imageShape ? "" : `, ${shapeText(["batch", ...shape])} after preprocess`;
  return new ArgumentError(
    `${role}: ${model.name} takes ${shapeText(input.shape)}, but the generator makes images ` +
      `${shapeText(["batch", ...imageShape])}${preprocessed}${detail}. ${fitAdvice(shape, input.shape, sides)}`,
    { code: "ERR_SHAPE_MISMATCH", cause },
  );
}

function checkTakes(
  role: string,
  model: LoadedModel,
  input: Input,
  shape: readonly number[],
  imageShape: readonly number[],
): void {
  if (!fits([null, ...shape], input.shape)) throw mismatch(role, model, input, shape, imageShape, "");
}

/**
 * Tries an encoder on images of the generator.
 *
 * @param decide what its output means
 * @param tell gets what is to be told about that
 */
async function fitEncoder(
  role: "encoder" | "pairEncoder",
  asLoaded: LoadedModel,
  wanted: string | undefined,
  probe: Probe,
  signal: AbortSignal | undefined,
  decide: (question: Omit<KindQuestion, "crossEntropy">) => DecidedKind,
  tell: (told: NonNullable<DecidedKind["told"]>) => void,
): Promise<FittedEncoder> {
  const { shape, imageShape, images, decisions } = probe;
  const tensors = { data: images, shape: [images.length / elementCount(shape), ...shape] };
  const given = ofWholeNumbers(role, asLoaded, wanted, tensors, decisions);
  onlyInput(role, given);
  const output = pickOutput(role, given, wanted);
  const facts = await given.facts(output, signal);
  refuseRandom(role, given.name, facts);
  const rows = (n: number, change: Change): Tensor => imageRows(tensors, n, change);
  const search: AxisSearch = {
    ...{ role, model: given, output, decisions, signal },
    rowsOf: async (_, row, n, changed) => (fits(shape, row) ? rows(n, changed ? "first" : "none") : null),
  };
  let model = await batchFirst(search);
  if (!fits([null, ...shape], model.inputs[0]!.shape)) model = (await otherAxes(search)) ?? model;
  const input = onlyInput(role, model);
  checkTakes(role, model, input, shape, imageShape);
  const run = async (n: number, change: Change): Promise<Tensor> =>
    (await model.run(rows(n, change), { signal }))[output]!;
  const encode = async (first: number, n: number): Promise<Tensor> => {
    const data = cycledRows(images, elementCount(shape), first, n);
    return (await model.run({ data, shape: [n, ...shape] }, { signal }))[output]!;
  };
  let result: Tried;
  try {
    const declared = rowsAtOnce(search, facts, input.shape[0] ?? 0);
    const tried = await tryRows(role, model, declared, signal, (n) => run(n, "none"));
    const checked = await checkRows({ ...search, model }, tried, run);
    if (checked instanceof OnnxModel)
      return await fitEncoder(role, checked, wanted, probe, signal, decide, tell);
    result = checked;
  } catch (error) {
    if (error instanceof ModelError && error.code === "ERR_RUN_FAILED")
      throw mismatch(
        role,
        model,
        input,
        shape,
        imageShape,
        `, which it does not accept (${error.message})`,
        error,
      );
    throw error;
  }
  const { tensor, fixed } = result;
  const row = tensor.shape.slice(1);
  if (elementCount(row) === 0)
    throw new ArgumentError(
      `${role}: expected an output [${result.rows}, …] for ${result.rows} images, got ${shapeText(tensor.shape)} from ${model.name}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  const more = await runRows(result.rows, images.length / elementCount(shape), fixed, encode);
  const data = concatenate([tensor.data, ...more]);
  checkFiniteRows(role, model.name, data);
  const seen = lookAtRows(data, [data.length / elementCount(row), ...row]);
  const { kind, told } = decide({ role, model: model.name, output, row, facts, seen });
  if (told) tell(told);
  const stop =
    model instanceof OnnxModel
      ? named(model, facts.stop)
      : await triedBarrier(model, { [input.name]: rows(result.rows, "none") }, output, tensor, signal);
  return { model, output, row, batch: fixed, kind, facts, outputs: tensor, stop };
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

/** Returns what stops a gradient within the energy. */
function checkEnergyFits(
  flat: FlatEnergy,
  encoder: LoadedModel,
  fitted: FittedEncoder,
  size: number,
  kindGiven: boolean,
): GradientBarrier | null {
  const graph = energyGraph(flat, [null, ...fitted.row], size, fitted.kind);
  if (size < 2 && flat.condition === "unit")
    throw new ArgumentError(
      `energy: cosine() compares directions, but ${encoder.name} gives 1 number, which has none but its sign; use ` +
        "energy.squaredError()",
      { code: "ERR_SHAPE_MISMATCH" },
    );
  if (hasCrossEntropy(flat)) {
    if (size < 2)
      throw new ArgumentError(
        `energy: crossEntropy() needs an encoder with two classes or more, got ${size} number in ${encoder.name}; use squaredError() for a single number, or export a probability p as [1 − p, p]`,
        { code: "ERR_SHAPE_MISMATCH" },
      );
    if (fitted.facts.maker === "Sigmoid" && fitted.kind === "logits" && !kindGiven)
      throw new ArgumentError(
        `energy: crossEntropy() needs scores or probabilities of classes that exclude each other, but ${encoder.name} ends in ` +
          "Sigmoid, and its rows do not sum to 1; use squaredError(), or energy.fromOnnx() with a binary cross-entropy",
      );
  }
  const stop = graphBarrier(graph, graph.outputs[0]!.name, [graph.inputs[0]!.name]);
  return stop && { ...stop, message: `in the energy ${stop.message}` };
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
