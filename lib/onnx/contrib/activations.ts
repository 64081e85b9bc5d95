/** Activations of ONNX Runtime's own domain, and the sums that are fused with them. */
import { float, int } from "../attributes.js";
import type { Builder } from "../builder.js";
import { add, affine, define, part, sizeOf } from "./table.js";

/** x Φ(x). */
export function gelu(b: Builder, x: string): string {
  return b.op("Mul", [x, affine(b, b.op("Erf", [affine(b, x, Math.SQRT1_2)]), 0.5, 0.5)]);
}

/** The same with Φ by a hyperbolic tangent. */
export function tanhGelu(b: Builder, x: string): string {
  const k = Math.sqrt(2 / Math.PI);
  const inner = b.op("Mul", [x, affine(b, b.op("Mul", [x, x]), 0.044715 * k, k)]);
  return b.op("Mul", [x, affine(b, b.op("Tanh", [inner]), 0.5, 0.5)]);
}

/** x σ(x). */
export const silu = (b: Builder, x: string): string => b.op("Mul", [x, b.op("Sigmoid", [x])]);

define("Gelu", ({ b, x }) => gelu(b, x[0]!));
define("BiasGelu", ({ b, x }) => gelu(b, add(b, x[0], x[1])));
define("FastGelu", ({ b, x }) => tanhGelu(b, add(b, x[0], x[1])));
define("QuickGelu", ({ b, x: [x], node }) =>
  b.op("Mul", [x!, b.op("Sigmoid", [affine(b, x!, float(node, "alpha", 1.702))])]),
);
define("BiasAdd", ({ b, x }) => add(b, x[0], x[1], x[2]));
// One half of the channels is the gate of the other.
define("BiasSplitGelu", (c) => {
  const { b, x } = c;
  const channels = sizeOf(c, x[1]!, 0, "its number of channels");
  const sum = add(b, x[0], x[1]);
  const [value, gate] = [part(b, sum, -1, 0, channels / 2), part(b, sum, -1, channels / 2, channels)];
  return b.op("Mul", [value, gelu(b, gate)]);
});
define("BiasSoftmax", (c) => {
  const { b, x, node, rank, axis } = c;
  const count = rank(x[0]!);
  if (axis(int(node, "axis", 1), count) !== count - 1) throw c.fail("it is taken over several axes at once");
  return b.op("Softmax", [add(b, x[0], x[1])], { axis: -1 });
});
// At inference.
define("BiasDropout", ({ b, x, node, fail }) => {
  const training = x[4] ? b.shapes.numbers(x[4])?.[0] : 0;
  if (training !== 0 || node.outputs[1]) throw fail("it is in training mode: export the model for inference");
  return add(b, x[0], x[1], x[2]);
});
