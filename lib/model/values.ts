/** What goes into and comes out of models of any format: checked against what they declare, converted. */
import { shapeText } from "../base/check.js";
import { ArgumentError, ModelError, describe, invalid } from "../base/errors.js";
import type { ValueInfo } from "./interface.js";
import type { NativeTensor, NativeValueInfo } from "../native/types/values.js";
import { movedAxes, wholeRanges } from "../onnx/index.js";
import { checkTensor, elementCount, type Tensor } from "../base/tensor.js";

export function publicInfo(value: NativeValueInfo): ValueInfo {
  return Object.freeze({ name: value.name, shape: Object.freeze([...value.shape]), type: value.type });
}

/** What is declared of a value with axis `axis` moved to the front. */
export function batchFirstInfo(value: NativeValueInfo, axis: number): NativeValueInfo {
  const order = movedAxes(value.shape.length, axis, 0);
  return {
    ...value,
    shape: order.map((k) => value.shape[k]!),
    symbols: order.map((k) => value.symbols[k] ?? null),
  };
}

/** What goes into inputs of whole numbers, rounded and limited to what those can hold. */
export function rounded(
  given: Tensor | Record<string, Tensor>,
  declared: readonly NativeValueInfo[],
): Record<string, Tensor> {
  const named = given.data instanceof Float32Array ? { [declared[0]!.name]: given as Tensor } : { ...given };
  for (const { name, type } of declared) {
    const range = wholeRanges.get(type);
    const tensor = (named as Record<string, Tensor>)[name];
    if (!range || !tensor) continue;
    const data = tensor.data.map((x) => Math.min(Math.max(nearestEven(x), range[0]), range[1]));
    (named as Record<string, Tensor>)[name] = { ...tensor, data };
  }
  return named as Record<string, Tensor>;
}

/** As ONNX's Round. */
function nearestEven(x: number): number {
  const below = Math.floor(x);
  return x - below === 0.5 ? below + (below % 2 === 0 ? 0 : 1) : Math.round(x);
}

/** Whether a shape fits a declared one, null being any size. */
export function fits(shape: readonly (number | null)[], declared: readonly (number | null)[]): boolean {
  return (
    shape.length === declared.length &&
    shape.every((dim, axis) => dim === null || declared[axis] === null || dim === declared[axis])
  );
}

/** Checks tensors against what a model declares and converts them to its types. */
export function feed(
  model: string,
  what: "inputs" | "cotangents",
  given: Tensor | Record<string, Tensor>,
  declared: readonly NativeValueInfo[],
  partial = false,
): Record<string, NativeTensor> {
  if (given === null || typeof given !== "object" || Array.isArray(given) || ArrayBuffer.isView(given))
    throw invalid(what, "a Tensor or an object of Tensors by name", given);
  const side = what === "inputs" ? "input" : "output";
  let named = given as Record<string, Tensor>;
  if (given.data instanceof Float32Array && Array.isArray(given.shape)) {
    if (declared.length !== 1)
      throw new ArgumentError(
        `${what}: expected an object with a Tensor for each of ${declared.map((v) => describe(v.name)).join(", ")}, got a single Tensor`,
      );
    named = { [declared[0]!.name]: given as Tensor };
  }
  const feeds: Record<string, NativeTensor> = {};
  for (const name of Object.keys(named))
    if (!declared.some((value) => value.name === name))
      throw new ArgumentError(
        `${what}: ${model} has no ${side} ${describe(name)}; it has ${declared.map((v) => describe(v.name)).join(", ")}`,
      );
  for (const value of declared) {
    const tensor = named[value.name];
    if (tensor === undefined) {
      if (partial) continue;
      throw new ArgumentError(`${what}: expected a Tensor for ${describe(value.name)}, got none`);
    }
    const label = `${what}.${value.name}`;
    checkTensor(label, tensor);
    if (!fits(tensor.shape, value.shape))
      throw new ArgumentError(
        `${label}: expected the shape ${shapeText(value.shape)}, got ${shapeText(tensor.shape)}`,
        { code: "ERR_SHAPE_MISMATCH" },
      );
    if (elementCount(tensor.shape) === 0)
      throw new ArgumentError(`${label}: expected at least one row, got none`);
    feeds[value.name] = converted(label, tensor, value.type);
  }
  return feeds;
}

/** Inputs that can wait: copies, which nobody else has. */
export function kept(feeds: Record<string, NativeTensor>): Record<string, NativeTensor> {
  return Object.fromEntries(
    Object.entries(feeds).map(([name, { data, shape }]) => [name, { data: data.slice(), shape: [...shape] }]),
  );
}

function converted(name: string, tensor: Tensor, type: string): NativeTensor {
  const { data, shape } = tensor;
  const whole = (low: number, high: number): void => {
    for (let i = 0; i < data.length; i++)
      if (!Number.isInteger(data[i]!) || data[i]! < low || data[i]! > high)
        throw new ArgumentError(
          `${name}: the model declares ${type}, so expected whole numbers of ${low} … ${high}, got ${data[i]} at index ${i}`,
        );
  };
  switch (type) {
    case "float32":
      return tensor;
    case "float64":
      return { data: Float64Array.from(data), shape };
    case "int64":
      whole(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
      return { data: BigInt64Array.from(data, (value) => BigInt(value)), shape };
    case "int32":
      whole(-(2 ** 31), 2 ** 31 - 1);
      return { data: Int32Array.from(data), shape };
    case "uint8":
      whole(0, 255);
      return { data: Uint8Array.from(data), shape };
    case "bool":
      return { data: Uint8Array.from(data, (value) => (value !== 0 ? 1 : 0)), shape };
    default:
      throw new ModelError(
        "ERR_MODEL_UNSUPPORTED",
        `${name}: the model declares the type ${type}, which tr0n cannot feed; float32, float64, int64, int32, uint8 and bool work`,
      );
  }
}

/** Outputs as float32 tensors. */
export function floats(results: Record<string, NativeTensor>): Record<string, Tensor> {
  const out: Record<string, Tensor> = {};
  for (const [name, { data, shape }] of Object.entries(results))
    out[name] = {
      data:
        data instanceof Float32Array
          ? data
          : data instanceof BigInt64Array
            ? Float32Array.from(data, Number)
            : Float32Array.from(data),
      shape,
    };
  return out;
}
