/** Matrix products and convolutions of ONNX Runtime's own domain. */
import { float, int, ints, string } from "../attributes.js";
import type { Attributes } from "../builder.js";
import type { NodeContext } from "../rules/rule.js";
import { tanhGelu } from "./activations.js";
import { activated, activationNumbers, add, affine, define, namedNumbers, turned } from "./table.js";

/** alpha · A B, each transposed in its last two axes or in the order of its batches. */
define("FusedMatMul TransposeMatMul", (c) => {
  const { b, x, node, rank } = c;
  const operand = (name: "A" | "B", value: string): string => {
    const [last, batch] = [int(node, `trans${name}`, 0) !== 0, int(node, `transBatch${name}`, 0) !== 0];
    const count = last || batch ? rank(value) : 0;
    // A vector has nothing to be transposed.
    if (count < 2) return value;
    let order = Array.from({ length: count }, (_, i) => i);
    // The first axis goes between the batches and the last one.
    if (batch) order = [...order.slice(1, -1), 0, count - 1];
    if (last) order.splice(count - 2, 2, order[count - 1]!, order[count - 2]!);
    return turned(b, value, order);
  };
  return affine(b, b.op("MatMul", [operand("A", x[0]!), operand("B", x[1]!)]), float(node, "alpha", 1));
});
define("FusedGemm", (c) => {
  const { b, x, node } = c;
  const y = b.op("Gemm", [x[0]!, x[1]!, x[2] || null], {
    alpha: float(node, "alpha", 1),
    beta: float(node, "beta", 1),
    transA: int(node, "transA", 0),
    transB: int(node, "transB", 0),
  });
  return activated(c, y, string(node, "activation", ""), namedNumbers(node));
});
define("GemmFastGelu", ({ b, x }) => tanhGelu(b, add(b, b.op("MatMul", [x[0]!, x[1]!]), x[2])));

function convolution(c: NodeContext, x: string, w: string): string {
  const { b, node } = c;
  const attributes: Attributes = {};
  for (const name of ["dilations", "kernel_shape", "pads", "strides"]) {
    const list = ints(node, name);
    if (list) attributes[name] = list;
  }
  attributes.group = int(node, "group", 1);
  const padding = string(node, "auto_pad", "NOTSET");
  if (padding !== "NOTSET") attributes.auto_pad = padding;
  return b.op("Conv", [x, w, c.x[2] || null], attributes);
}

const fused = (c: NodeContext, y: string): string =>
  activated(c, y, string(c.node, "activation", ""), activationNumbers(c.node));

// The activation of the sum of a convolution and another input.
define("FusedConv", (c) => fused(c, add(c.b, convolution(c, c.x[0]!, c.x[1]!), c.x[3])));
define("NhwcConv NhwcFusedConv", (c) => {
  const { b, x, rank } = c;
  const count = rank(x[0]!);
  const spatial = Array.from({ length: count - 2 }, (_, i) => i);
  const toFront = (value: string): string => turned(b, value, [0, count - 1, ...spatial.map((i) => i + 1)]);
  const kernel = channelsLast(c, count) ? toFront(x[1]!) : x[1]!;
  const y = convolution(c, toFront(x[0]!), kernel);
  return fused(c, add(b, turned(b, y, [0, ...spatial.map((i) => i + 2), 1]), x[3]));
});

/**
 * Whether the kernel is [M, kH, kW, C / group], as the tool for diffusion models writes it, and not [M, C / group, kH, kW]:
 * its sizes tell, where they can be told apart.
 */
function channelsLast({ b, x, node, fail }: NodeContext, count: number): boolean {
  const dims = b.shapes.staticDims(x[1]!);
  if (dims?.length !== count) throw fail("the sizes of its kernel are known only at run time");
  const channels = b.shapes.dims(x[0]!)?.at(-1);
  const each = typeof channels === "number" ? channels / int(node, "group", 1) : null;
  const window = ints(node, "kernel_shape");
  const fits = (at: number, places: readonly number[]): boolean =>
    (each === null || dims[at] === each) &&
    (window === null || window.every((size, i) => size === places[i]));
  const [first, last] = [fits(1, dims.slice(2)), fits(count - 1, dims.slice(1, -1))];
  if (!first && !last) throw new Error("its kernel fits neither its input nor its kernel_shape");
  return last;
}
