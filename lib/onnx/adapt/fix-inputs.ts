/** A model with some of its inputs fixed: each becomes a constant, repeated for every row where it has an axis for rows. */
import { shapeText } from "../../base/check.js";
import { ArgumentError } from "../../base/errors.js";
import type { Tensor } from "../../base/tensor.js";
import { copyGraph, Names, type Dim, type Graph, type Node, type ValueInfo } from "../graph.js";
import { makeAttribute } from "../attributes.js";
import { DataType, holds, isFloat, isInteger, makeTensor, typeName } from "../tensors.js";
import { upgradeGraph } from "../upgrade.js";

/** What an input is fixed to: one number everywhere, or numbers with a shape, with or without the axis of rows. */
export type FixedValue = number | Tensor;

/** Greatest number of a floating-point type. */
const largest: ReadonlyMap<number, number> = new Map([
  [DataType.FLOAT, 3.4028234663852886e38],
  [DataType.FLOAT16, 65504],
  [DataType.BFLOAT16, 3.3895313892515355e38],
]);

/** Expand is an operator from here on. */
const expandOpset = 8;

/**
 * The graph with the named inputs as constants of the inputs' own types. An open first axis of such an input gets as many
 * rows as a run has of the other inputs.
 *
 * @throws ArgumentError for a name that is no input, a shape that does not fit, and a number that the type does not have
 */
export function fixInputs(
  graph: Graph,
  values: Readonly<Record<string, FixedValue>>,
  model = "the model",
): Graph {
  const { defaults = [] } = graph;
  for (const input of Object.keys(values))
    if (![...graph.inputs, ...defaults].some((value) => value.name === input))
      throw new ArgumentError(
        `options.inputs: ${model} has no input ${JSON.stringify(input)}; it has ${graph.inputs.map(inputText).join(", ") || "none"}`,
      );
  if (Object.keys(values).length === 0) return graph;
  const opset = graph.opsets.get("") ?? expandOpset;
  const result = opset < expandOpset ? upgradeGraph(graph) : copyGraph(graph);
  const names = new Names(result);
  const others = result.inputs.filter((input) => !Object.hasOwn(values, input.name));
  const fixed = [...result.inputs, ...defaults].filter((input) => Object.hasOwn(values, input.name));
  for (const { name } of defaults) if (Object.hasOwn(values, name)) result.initializers.delete(name);
  if (others.length === 0)
    throw new ArgumentError(
      `options.inputs: expected at least one input of ${model} that is not fixed, got values for all: ` +
        fixed.map((input) => input.name).join(", "),
    );
  result.inputs = others;
  const made = fixed.flatMap((input) => fixedInput(result, names, input, values[input.name]!, others));
  result.nodes = [...made, ...result.nodes];
  return result;
}

/** "z float32 [batch, 8]" */
function inputText({ name, elemType, dims }: ValueInfo): string {
  return `${name} ${typeName(elemType)} ${dims ? shapeText(dims) : "of any shape"}`;
}

/** A size of an input: a number, or a size of another input that is only known in a run. */
type Size = number | { readonly input: string; readonly axis: number };

/** Puts the value's numbers into the graph, and gives the nodes that make the input of them. */
function fixedInput(
  graph: Graph,
  names: Names,
  input: ValueInfo,
  value: FixedValue,
  others: readonly ValueInfo[],
): Node[] {
  const label = `options.inputs.${input.name}`;
  const shape = sizes(input, value, others, label);
  // As the numbers are stored: axes that they are repeated along have one.
  const given = typeof value === "number" ? shape.map(() => 1) : storedShape(value, shape.length);
  const numbers = typeof value === "number" ? [value] : value.data;
  checkNumbers(label, input, numbers);
  // Constants of this type cannot be made.
  const cast = input.elemType === DataType.BFLOAT16;
  const type = cast ? DataType.FLOAT : input.elemType;
  const repeated = shape.some((size, axis) => size !== given[axis]);
  const nodes: Node[] = [];
  const fresh = (part = ""): string => names.fresh(`fixed/${input.name}${part}`);
  const store = (to: string, elemType: number, dims: readonly number[], data: ArrayLike<number>): string => {
    graph.initializers.set(to, makeTensor(to, elemType, dims, data));
    return to;
  };
  const emit = (
    opType: string,
    inputs: string[],
    output: string,
    attributes: Record<string, number> = {},
  ): string => {
    const made = Object.entries(attributes).map(
      ([key, number]) => [key, makeAttribute(key, number)] as const,
    );
    nodes.push({
      ...{ opType, domain: "", name: fresh(`/${opType}`), overload: "" },
      ...{ inputs, outputs: [output], attributes: new Map(made) },
    });
    return output;
  };
  if (!repeated && !cast) store(input.name, type, given, numbers);
  else {
    let made = store(fresh(), type, given, numbers);
    if (repeated) {
      const parts = shape.map((size) => {
        if (typeof size === "number") return store(fresh("/size"), DataType.INT64, [1], [size]);
        const axis = store(fresh("/axis"), DataType.INT64, [1], [size.axis]);
        return emit("Gather", [emit("Shape", [size.input], fresh()), axis], fresh());
      });
      const target = parts.length === 1 ? parts[0]! : emit("Concat", parts, fresh(), { axis: 0 });
      made = emit("Expand", [made, target], cast ? fresh() : input.name);
    }
    if (cast) emit("Cast", [made], input.name, { to: input.elemType });
  }
  return nodes;
}

/** The shape of a tensor with axes of one before it, up to a rank. */
function storedShape({ shape }: Tensor, rank: number): readonly number[] {
  return [...Array.from({ length: rank - shape.length }, () => 1), ...shape];
}

/** The sizes of an input that gets a value. */
function sizes(
  input: ValueInfo,
  value: FixedValue,
  others: readonly ValueInfo[],
  label: string,
): readonly Size[] {
  const { dims } = input;
  if (dims === null) return typeof value === "number" ? [] : value.shape;
  if (typeof value === "number") return dims.map((dim, axis) => sizeOf(input, dim, axis, others, label));
  const { shape } = value;
  const wrong = (why = ""): ArgumentError =>
    new ArgumentError(
      `${label}: expected a number, or a Tensor of the shape ${shapeText(dims)}` +
        `${dims.length > 0 ? `, or ${shapeText(dims.slice(1))} for every row` : ""}, got ${shapeText(shape)}${why}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  const whole = shape.length === dims.length;
  if (!whole && shape.length !== dims.length - 1) throw wrong();
  const own = whole ? shape : [1, ...shape];
  return dims.map((dim, axis) => {
    const size = own[axis]!;
    if (axis > 0) {
      if (typeof dim === "number" && dim !== size) throw wrong();
      return size;
    }
    if (typeof dim === "number") {
      if (size !== dim && size !== 1) throw wrong();
      return size === 1 ? fixedRows(input, dim, others) : dim;
    }
    if (size === 1) return sizeOf(input, dim, axis, others, label);
    // Rows of their own would have to be as many as a run has.
    const rows = rowsOf(dim, others);
    if (rows && (typeof rows.size !== "number" || rows.size !== size) && rows.same)
      throw wrong(
        `: its first axis are the rows of a run, as of ${rows.input}, so that it has one row for all`,
      );
    return size;
  });
}

/** A size that nobody fed: the declared one, or of another input's axis. */
function sizeOf(input: ValueInfo, dim: Dim, axis: number, others: readonly ValueInfo[], label: string): Size {
  if (typeof dim === "number") return axis === 0 ? fixedRows(input, dim, others) : dim;
  if (axis === 0) return rowsOf(dim, others)?.size ?? 1;
  const same = axisNamed(dim, others);
  if (same) return same;
  throw new ArgumentError(
    `${label}: expected a Tensor, whose shape says the size of axis ${axis} that ${inputText(input)} leaves open, got a number`,
    { code: "ERR_SHAPE_MISMATCH" },
  );
}

/**
 * A fixed number of rows, or where it is that of another input, what that has: its batch may be opened later. One number [1] is
 * rather a scalar.
 */
function fixedRows({ elemType, dims }: ValueInfo, rows: number, others: readonly ValueInfo[]): Size {
  if (rows === 1 && isFloat(elemType) && dims?.length === 1) return rows;
  const found = mainInput(others);
  return found?.dims![0] === rows ? { input: found.name, axis: 0 } : rows;
}

/** Where another input has an axis of this name. */
function axisNamed(dim: Dim, others: readonly ValueInfo[]): Exclude<Size, number> | null {
  if (typeof dim !== "string") return null;
  for (const { name, dims } of others) {
    const axis = dims?.indexOf(dim) ?? -1;
    if (axis >= 0) return { input: name, axis };
  }
  return null;
}

/** The rows of a run: an axis of the same name, else the first axis of another input, one of floats before others. */
function rowsOf(
  dim: Dim,
  others: readonly ValueInfo[],
): { readonly size: Size; readonly input: string; readonly same: boolean } | null {
  const same = axisNamed(dim, others);
  if (same) return { size: same, input: same.input, same: true };
  const found = mainInput(others);
  if (!found) return null;
  const first = found.dims![0]!;
  return {
    size: typeof first === "number" ? first : { input: found.name, axis: 0 },
    input: found.name,
    same: false,
  };
}

/** The first input of floats that has axes, else any that has. */
function mainInput(others: readonly ValueInfo[]): ValueInfo | undefined {
  const ranked = others.filter(({ dims }) => dims !== null && dims.length > 0);
  return ranked.find(({ elemType }) => isFloat(elemType)) ?? ranked[0];
}

/** @throws ArgumentError for a number that the input's type does not have */
function checkNumbers(label: string, { elemType }: ValueInfo, numbers: ArrayLike<number>): void {
  const type = typeName(elemType);
  const whole = isInteger(elemType) || elemType === DataType.BOOL;
  if (!whole && !isFloat(elemType))
    throw new ArgumentError(`${label}: expected an input of numbers, got one of ${type}`);
  const most = largest.get(elemType) ?? Infinity;
  for (let i = 0; i < numbers.length; i++) {
    const value = numbers[i]!;
    const at = numbers.length > 1 ? ` at index ${i}` : "";
    if (whole && !holds(elemType, value))
      throw new ArgumentError(
        `${label}: the model declares ${type}, so expected ${elemType === DataType.BOOL ? "0 or 1" : `whole numbers of that type`}, got ${value}${at}`,
      );
    if (!whole && Number.isFinite(value) && Math.abs(value) > most)
      throw new ArgumentError(
        `${label}: the model declares ${type}, whose greatest number is ${most}, got ${value}${at}`,
      );
  }
}
