/** An encoder tried on images of the generator: whether it takes them, and what it says about them. */
import { shapeText } from "../base/check.js";
import {
  batchFirst,
  checkRows,
  otherAxes,
  type AxisSearch,
  type Change,
  type Tried,
} from "../model/batch-axis.js";
import { openBatch, type RunRows } from "../model/open-batch.js";
import type { Decisions } from "../base/decisions.js";
import {
  checkFiniteRows,
  lookAtRows,
  type DecidedKind,
  type EncoderKind,
  type KindQuestion,
} from "./encoder-kind.js";
import { ArgumentError, ModelError } from "../base/errors.js";
import { concatenate, elementCount, type Tensor } from "../base/tensor.js";
import { fits, type LoadedModel } from "../model/model.js";
import type { GradientBarrier, OutputFacts } from "../model/output-facts.js";
import { cycledRows, runRows } from "./probe.js";
import { isChannelsLast } from "../base/layout.js";
import { askForOrder } from "./fitting.js";
import { imageRows } from "./probe-rows.js";
import { ofWholeNumbers } from "../model/whole-numbers.js";
import { onlyInput, pickOutput, type ModelInput } from "./model-ends.js";
import { barrierWithin, refuseRandom, rowsAtOnce, tryRows } from "./trial.js";

/** What was found out about an encoder. */
export interface TriedEncoder {
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
export interface ProbeImages {
  /** Of one image as the generator makes it, and as encoders take it. */
  readonly imageShape: readonly number[];
  readonly shape: readonly number[];
  /** [n, …shape] */
  readonly images: Float32Array;
  readonly decisions: Decisions;
}

/** An encoder does not take the images that there are. */
function mismatch(
  role: string,
  model: LoadedModel,
  input: ModelInput,
  shape: readonly number[],
  imageShape: readonly number[],
  detail: string,
  cause?: unknown,
): ArgumentError {
  const [, height, width] = asPlain(input.shape.slice(1));
  const sides =
    typeof height === "number" && typeof width === "number" ? `${height}, ${width}` : "height, width";
  const preprocessed = shape === imageShape ? "" : `, ${shapeText(["batch", ...shape])} after preprocess`;
  return new ArgumentError(
    `${role}: ${model.name} takes ${shapeText(input.shape)}, but the generator makes images ` +
      `${shapeText(["batch", ...imageShape])}${preprocessed}${detail}. ${adviceToFit(shape, input.shape, sides)}`,
    { code: "ERR_SHAPE_MISMATCH", cause },
  );
}

export function checkTakes(
  role: string,
  model: LoadedModel,
  input: ModelInput,
  shape: readonly number[],
  imageShape: readonly number[],
): void {
  if (fits([null, ...shape], input.shape)) return;
  askForOrder(role, model.name, shape, input.shape.slice(1));
  throw mismatch(role, model, input, shape, imageShape, "");
}

/**
 * Tries an encoder on images of the generator.
 *
 * @param decide what its output means
 * @param tell gets what is to be told about that
 */
export async function tryEncoder(
  role: "encoder" | "pairEncoder",
  asLoaded: LoadedModel,
  wanted: string | undefined,
  probe: ProbeImages,
  signal: AbortSignal | undefined,
  decide: (question: Omit<KindQuestion, "crossEntropy">) => DecidedKind,
  tell: (told: NonNullable<DecidedKind["told"]>) => void,
): Promise<TriedEncoder> {
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
  const through: RunRows = async (of, first, n) => {
    const data = cycledRows(images, elementCount(shape), first, n);
    return (await of.run({ data, shape: [n, ...shape] }, { signal }))[output]!;
  };
  const encode = (first: number, n: number): Promise<Tensor> => through(model, first, n);
  let result: Tried;
  try {
    const declared = rowsAtOnce(search, facts, input.shape[0] ?? 0);
    const tried = await tryRows(role, model, declared, signal, (n) => run(n, "none"));
    const checked = await checkRows({ ...search, model }, tried, run);
    if ("moved" in checked) return await tryEncoder(role, checked.moved, wanted, probe, signal, decide, tell);
    result = checked;
    if (result.fixed > 0 && !facts.scalesByBatch) {
      const opened = await openBatch(search, model, result.fixed, await encode(0, result.rows), through);
      if (opened) return await tryEncoder(role, opened, wanted, probe, signal, decide, tell);
    }
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
  const stop = await barrierWithin(
    model,
    output,
    facts,
    { inputs: { [input.name]: rows(result.rows, "none") }, outputs: tensor },
    signal,
  );
  return { model, output, row, batch: fixed, kind, facts, outputs: tensor, stop };
}

/** What makes rows fit an encoder: the stages that are missing, or another export where no stage can help. */
function adviceToFit(row: readonly number[], wanted: readonly (number | null)[], sides: string): string {
  const [images, input] = [asPlain(row), asPlain(wanted.slice(1))];
  if (images.length !== 3 || input.length !== 3)
    return (
      `The encoder takes rows ${shapeText(wanted.slice(1))} and gets rows ${shapeText(row)}: stage.reshape(shape), stage.transpose(order), ` +
      "stage.crop(part), stage.pad(pixels) and stage.fromOnnx(model) make other rows of them; or export one of the models for the other's rows"
    );
  const [from, to] = [images[0]!, input[0]!];
  const stages = [
    ...channelAdvice(from, to),
    ...(fits(images.slice(1), input.slice(1)) ? [] : [`stage.resize(${sides})`]),
  ];
  return stages.length > 0 && (to === null || from === to || stages[0] !== `stage.resize(${sides})`)
    ? `preprocess: [${stages.join(", ")}] makes them fit`
    : "Preprocess stages such as stage.resize(height, width), stage.grayscale() or stage.channels(order) make images fit";
}

/** What makes `to` channels of `from`, where there is one usual way. */
function channelAdvice(from: number, to: number | null): string[] {
  if (to === null || from === to) return [];
  if (from === 4 && to === 3) return ["stage.channels([0, 1, 2])"];
  return (from === 1 || from === 3) && (to === 1 || to === 3)
    ? [`stage.grayscale(${to === 1 ? "" : to})`]
    : [];
}

/** [C, H, W] of [H, W, C], where it can only be that. */
function asPlain<T extends number | null>(shape: readonly T[]): readonly T[] {
  const [height, width, channels] = shape;
  return isChannelsLast(shape.map((size) => size ?? 8)) ? [channels!, height!, width!] : shape;
}
