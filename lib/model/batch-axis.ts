/**
 * Which axis of a model is the batch: told by the names of axes, and shown by a probe. One row of the input is changed; a
 * batch is the axis along which that row of the output changes, and no other.
 */
import { shapeText } from "../base/check.js";
import type { Decisions } from "../base/decisions.js";
import { ArgumentError, ModelError, Tr0nError } from "../base/errors.js";
import { moveAxis } from "./move-axis.js";
import { OnnxModel, type LoadedModel } from "./model.js";
import type { NativeValueInfo } from "../native/types/values.js";
import type { BatchAxes } from "../onnx/index.js";
import { elementCount, type Tensor } from "../base/tensor.js";

/** Batches that models are exported for; a larger number is taken for a mistake. */
export const maxFixedBatch = 4096;

/** What the change of one row did to an output. */
type Match =
  /** One slice of this axis changed, that of the row. */
  | { readonly kind: "matched"; readonly axis: number }
  /** Nothing did. */
  | { readonly kind: "unmoved" }
  /** `each` slices of the first axis belong to a row. */
  | { readonly kind: "several"; readonly each: number }
  /** Other rows did, too. */
  | { readonly kind: "mixed" };

/** Changes below these are rounding: of the largest change, and of the output's largest number. */
const noise = { change: 1e-4, size: 4e-6 };

/** Compares outputs before and after row `row` of `rows` was changed. */
export function matchRows(before: Tensor, after: Tensor, rows: number, row: number): Match {
  const { shape } = before;
  if (shape.join() !== after.shape.join()) return { kind: "mixed" };
  let [largest, size] = [0, 0];
  for (let i = 0; i < before.data.length; i++) {
    largest = Math.max(largest, Math.abs(after.data[i]! - before.data[i]!));
    size = Math.max(size, Math.abs(before.data[i]!));
  }
  const least = Math.max(noise.change * largest, noise.size * size);
  if (!(largest > least)) return { kind: "unmoved" };
  for (const [axis, length] of shape.entries()) {
    if (length !== rows) continue;
    const changed = changedSlices(before, after, axis, least);
    if (changed.length === 1 && changed[0] === row) return { kind: "matched", axis };
  }
  const [first = 0] = shape;
  const each = first / rows;
  if (Number.isInteger(each) && each > 1) {
    const changed = changedSlices(before, after, 0, least);
    const block = changed.every((slice) => Math.floor(slice / each) === row);
    if (block || changed.every((slice) => slice % rows === row)) return { kind: "several", each };
  }
  return { kind: "mixed" };
}

function changedSlices(before: Tensor, after: Tensor, axis: number, least: number): number[] {
  const { shape, data } = before;
  const inner = elementCount(shape.slice(axis + 1));
  const changed = new Set<number>();
  for (let i = 0; i < data.length; i++)
    if (Math.abs(after.data[i]! - data[i]!) > least) changed.add(Math.floor(i / inner) % shape[axis]!);
  return [...changed].sort((p, q) => p - q);
}

/** What a model made of some rows. */
export interface Tried {
  readonly tensor: Tensor;
  readonly rows: number;
  /** Rows that it was exported for; 0 where that is open. */
  readonly fixed: number;
}

/** What the last row of a run is: its own, the first one again, or one far from all others. */
export type Change = "none" | "first" | "far";

/** How far apart the same row may come out in two places: of what another row changes, and of the output's largest number. */
const byPlace = { change: 1e-3, size: 1e-4 };

/**
 * How far apart outputs for the same row are in the first place (of `before`) and in the last (of `after`, along the first
 * axis); 0 where that is rounding.
 */
function apartByPlace(before: Tensor, after: Tensor, rows: number): number {
  const width = elementCount(before.shape) / rows;
  const last = (rows - 1) * width;
  let [apart, changed, size] = [0, 0, 0];
  for (let i = 0; i < width; i++) {
    apart = Math.max(apart, Math.abs(after.data[last + i]! - before.data[i]!));
    changed = Math.max(changed, Math.abs(after.data[last + i]! - before.data[last + i]!));
    size = Math.max(size, Math.abs(before.data[i]!), Math.abs(before.data[last + i]!));
  }
  return apart > byPlace.change * changed + byPlace.size * size ? apart : 0;
}

/**
 * Looks whether the rows that were tried are rows: the last one becomes the first one again, the others must stay, and equal
 * rows must give the same. Returns what was tried, or one row of it where the model takes no more; or the same model with its
 * batch moved to the front, where another axis is that.
 *
 * @throws ModelError ERR_MODEL_UNSUPPORTED, ArgumentError ERR_SHAPE_MISMATCH where there is no batch to be found
 */
export async function checkRows(
  search: AxisSearch,
  tried: Tried,
  run: (rows: number, change: Change) => Promise<Tensor>,
): Promise<Tried | { readonly moved: LoadedModel }> {
  const { tensor, rows } = tried;
  const fits = tensor.shape[0] === rows;
  // Of one row there is nothing to be told apart.
  if (rows === 1 && fits) return tried;
  let match: Match = { kind: "mixed" };
  if (rows > 1) {
    const again = await run(rows, "first");
    match = matchRows(tensor, again, rows, rows - 1);
    const apart = match.kind === "matched" && match.axis === 0 ? apartByPlace(tensor, again, rows) : 0;
    if (apart > 0) throw placesDiffer(search, rows, apart);
    if (match.kind === "unmoved") match = matchRows(tensor, await run(rows, "far"), rows, rows - 1);
  }
  if (match.kind === "matched" ? match.axis === 0 : match.kind === "unmoved" && fits) return tried;
  if (match.kind === "matched" && !isView(search.model))
    return { moved: moved(search, { inputs: {}, output: search.output, outputAxis: match.axis }) };
  const other = await otherAxes(search);
  if (other) return { moved: other };
  // A batch that an export fixed inside of the model.
  if (!fits && rows > 1 && tried.fixed === 0 && match.kind === "mixed") {
    const one = await run(1, "none");
    if (one.shape[0] === 1) return { tensor: one, rows: 1, fixed: 1 };
  }
  throw notRows(search, tried, match);
}

/** What a search for the batch needs to know. */
export interface AxisSearch {
  readonly role: string;
  readonly model: LoadedModel;
  readonly output: string;
  /**
   * Rows [rows, …row] of an input, the last of them another one where `changed`; null where there are no rows of such a
   * shape. An open size is null.
   */
  readonly rowsOf: (
    input: string,
    row: readonly (number | null)[],
    rows: number,
    changed: boolean,
  ) => Promise<Tensor | null>;
  readonly decisions: Decisions;
  readonly signal: AbortSignal | undefined;
}

/**
 * The model with its batch as the first axis of everything. Where the declared shapes say nothing against the first axes it
 * is the model itself, and nothing is run.
 *
 * @throws ModelError ERR_MODEL_UNSUPPORTED for a TorchScript model whose batch is another axis
 */
export async function batchFirst(search: AxisSearch): Promise<LoadedModel> {
  const { model, output } = search;
  const out = model.declaredOutputs.find(({ name }) => name === output);
  return out && doubtful(model.declaredInputs, out) ? ((await otherAxes(search)) ?? model) : model;
}

/** Whether declared names and sizes speak against the first axes, and another axis of an input may be meant. */
function doubtful(inputs: readonly NativeValueInfo[], output: NativeValueInfo): boolean {
  const [size, symbol] = [output.shape[0], output.symbols[0] ?? null];
  return inputs.some(({ shape, symbols }) => {
    if (shape.length < 2 || output.shape.length === 0) return false;
    const [own, name] = [shape[0]!, symbols[0] ?? null];
    if (own !== null && size !== null) return own !== size;
    if (own !== null) return shape.slice(1).includes(null);
    return symbol !== null && symbol !== name && symbols.slice(1).includes(symbol);
  });
}

/** The model with its batch in front, where another axis than the first is shown to be it; null where none is. */
export async function otherAxes(search: AxisSearch): Promise<OnnxModel | null> {
  if (isView(search.model)) return null;
  for (const inputs of candidates(search)) {
    const outputAxis = await tryAxes(search, inputs);
    if (outputAxis !== null) return moved(search, { inputs, output: search.output, outputAxis });
  }
  return null;
}

/** Axes that may be the batch's: first those whose names the output has, too. */
function candidates({ model, output }: AxisSearch): Record<string, number>[] {
  const inputs = model.declaredInputs;
  const out = model.declaredOutputs.find(({ name }) => name === output)!;
  const once = (symbols: readonly (string | null)[], name: string): number | null => {
    const axis = symbols.indexOf(name);
    return axis >= 0 && symbols.lastIndexOf(name) === axis ? axis : null;
  };
  const named = [...new Set(out.symbols)].flatMap((name) => {
    if (name === null || once(out.symbols, name) === null) return [];
    const axes = inputs.map(({ symbols }) => once(symbols, name));
    return axes.includes(null) ? [] : [axes as number[]];
  });
  const [only] = inputs;
  const unnamed = inputs.length === 1 ? only!.shape.flatMap((_, axis) => (axis > 0 ? [[axis]] : [])) : [];
  const seen = new Set<string>();
  return [...named, ...unnamed].flatMap((axes) => {
    const key = axes.join();
    if (seen.has(key) || axes.every((axis) => axis === 0)) return [];
    seen.add(key);
    return [Object.fromEntries(inputs.map(({ name }, i) => [name, axes[i]!]))];
  });
}

/** The axis of the output along which rows lie, where those of the inputs lie along `axes`; null where that is not so. */
async function tryAxes(search: AxisSearch, axes: Record<string, number>): Promise<number | null> {
  const { model, output, rowsOf, signal } = search;
  const sizes = model.declaredInputs
    .map(({ name, shape }) => shape[axes[name]!])
    .filter((size) => size !== null);
  const rows = Math.max(...(sizes as number[]), 0) || 2;
  if (rows > maxFixedBatch || sizes.some((size) => size !== rows)) return null;
  const run = async (changed: boolean): Promise<Tensor | null> => {
    const feeds: Record<string, Tensor> = {};
    for (const { name, shape } of model.declaredInputs) {
      const axis = axes[name]!;
      const given = await rowsOf(name, [...shape.slice(0, axis), ...shape.slice(axis + 1)], rows, changed);
      if (!given) return null;
      feeds[name] = moveAxis(given, 0, axis);
    }
    return (await model.run(feeds, { signal }))[output]!;
  };
  try {
    const before = await run(false);
    if (!before) return null;
    // One row is all there is: the whole output is its.
    if (rows === 1) return before.shape[0] === 1 ? 0 : null;
    const after = await run(true);
    const match = after && matchRows(before, after, rows, rows - 1);
    return match?.kind === "matched" ? match.axis : null;
  } catch (error) {
    if (error instanceof Tr0nError && error.code === "ERR_RUN_FAILED") return null;
    throw error;
  }
}

function isView(model: LoadedModel): boolean {
  return model instanceof OnnxModel && model.movesBatch;
}

function moved({ role, model, decisions }: AxisSearch, axes: BatchAxes): OnnxModel {
  const where = model.declaredInputs.map(
    ({ name, shape }) => `axis ${axes.inputs[name] ?? 0} of ${name} ${shapeText(shape)}`,
  );
  const seen = `axis ${axes.outputAxis} of ${axes.output}`;
  if (!(model instanceof OnnxModel))
    throw new ModelError(
      "ERR_MODEL_UNSUPPORTED",
      `${role}: the batch of ${model.name} is ${where.join(", ")} and ${seen}; of TorchScript tr0n needs the first axes: export ` +
        "it from a module that transposes, or to ONNX",
    );
  decisions.add({
    option: role,
    value: `the batch is ${where.join(", ")} and ${seen}, and is moved to the front`,
    reason: "only there one row of the input changes one row of the output",
    certain: true,
  });
  return model.withBatchFirst(axes);
}

function placesDiffer({ role, model }: AxisSearch, rows: number, apart: number): ModelError {
  return new ModelError(
    "ERR_MODEL_UNSUPPORTED",
    `${role}: what ${model.name} gives for a row depends on the row's place in the batch: in the first and in the last of ${rows} places ` +
      `the same row gives numbers that are ${apart.toPrecision(2)} apart. The model contains values for each position in the ` +
      "batch, such as noise exported with the batch's size. Export it with an open batch and noise that all rows share, or for a batch of one",
  );
}

/** The error for a model in which what looks like rows of a batch are none. */
function notRows({ role, model }: AxisSearch, { tensor, rows }: Tried, match: Match): Tr0nError {
  const inputs = model.inputs.map(({ name, shape }) => `${name} ${shapeText(shape)}`).join(", ");
  const output = shapeText(tensor.shape);
  const wanted = "Export it with the batch as the first axis of its inputs and its output";
  const mismatch = (message: string): ArgumentError =>
    new ArgumentError(`${role}: ${message}`, { code: "ERR_SHAPE_MISMATCH" });
  if (match.kind === "several")
    return mismatch(
      `${model.name} gives ${match.each} rows of its output ${output} for each of ${rows} rows of ${inputs}. Export it with a reshape ` +
        "at its end, so that its output is [batch, …] with one row for each that comes in",
    );
  if (match.kind === "matched")
    return mismatch(
      `the rows of ${model.name} lie along axis ${match.axis} of its output ${output}. ${wanted}`,
    );
  if (tensor.shape[0] !== rows)
    return mismatch(
      `expected an output [${rows}, …] for ${rows} rows of ${inputs}, got ${output} from ${model.name}, and no other axis was found ` +
        `along which one row of the output belongs to one of the input. ${wanted}`,
    );
  return new ModelError(
    "ERR_MODEL_UNSUPPORTED",
    `${role}: rows of ${model.name} influence each other: with another last row of ${inputs} other rows of its output ${output} ` +
      "change, too, so that no chain would be on its own. If the first axis is the batch, export the model in evaluation " +
      "mode (batch normalisation with stored statistics), without statistics over a batch, or for a batch of one; if it " +
      "is not, export it with the batch as the first axis of its inputs and its output",
  );
}
