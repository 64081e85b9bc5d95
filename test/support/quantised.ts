/** Encoders as quantisation tools make them, with weights that are rounded here. */
import { Builder, DataType, emptyGraph, encodeModel } from "../../lib/onnx/index.js";
import { numbers } from "./numbers.js";

export interface QuantisedOptions {
  /**
   * What is quantised: "weights", or "pairs" of QuantizeLinear and DequantizeLinear around activations, too, or "dynamic":
   * activations by the range that they have.
   */
  readonly what: "weights" | "pairs" | "dynamic";
  readonly inputs: readonly (number | string)[];
  /** Numbers of a row. */
  readonly size: number;
  readonly outputs: readonly number[];
  readonly names?: readonly [string, string];
  readonly seed?: number;
  /** The range that activations are cut off at. */
  readonly range?: number;
}

/** tanh(W x) of quantised numbers. */
export function quantisedModel(options: QuantisedOptions): Uint8Array {
  const { what, inputs, size, outputs, names = ["x", "logits"], seed = 3, range = 1 } = options;
  const b = new Builder(emptyGraph("quantised"));
  const count = outputs.reduce((p, q) => p * q, 1);
  const weights = Int8Array.from(numbers(seed, size * count, -127, 127));
  const w = b.constant(weights, [size, count], DataType.INT8);
  const columns = b.constant(
    numbers(seed + 1, count, 0.5 / 127, 1 / 127).map((v) => (2 * v) / Math.sqrt(size)),
    [count],
    DataType.FLOAT,
  );
  let x = b.input(names[0], DataType.FLOAT, [...inputs]);
  if (inputs.length > 2) x = b.op("Flatten", [x], { axis: 1 });
  const rounded = (value: string): string => {
    const pair = [b.constant([range / 127], [], DataType.FLOAT), b.constant([128], [], DataType.UINT8)];
    return b.op("DequantizeLinear", [b.op("QuantizeLinear", [value, ...pair]), ...pair]);
  };
  let y: string;
  if (what === "dynamic") {
    const [q, scale, point] = b.ops("DynamicQuantizeLinear", [x], 3) as [string, string, string];
    const product = b.op("Cast", [b.op("MatMulInteger", [q, w, point])], { to: DataType.FLOAT });
    y = b.op("Tanh", [b.op("Mul", [product, b.op("Mul", [scale, columns])])]);
  } else {
    const real = b.op("DequantizeLinear", [w, columns], { axis: 1 });
    y = b.op("Tanh", [b.op("MatMul", [what === "pairs" ? rounded(x) : x, real])]);
    if (what === "pairs") y = rounded(y);
  }
  b.output(names[1], outputs.length > 1 ? b.reshape(y, [-1, ...outputs]) : y);
  b.graph.outputs[0]!.dims = [inputs[0]!, ...outputs];
  return encodeModel(b.graph);
}
