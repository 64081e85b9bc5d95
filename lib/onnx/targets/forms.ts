/**
 * Forms for targets that lack an operator, or compute it badly. Many operators have a spelling by their differentiation rule
 * already; here are the others.
 */
import { float, int, string } from "../attributes.js";
import type { Builder } from "../builder.js";
import { subgraphs, type Node } from "../graph.js";
import { resizeByMaps } from "../rules/resize.js";
import { spellingOfRule, type NodeContext, type Spelling } from "../rules/rule.js";
import type { Shapes } from "../shapes.js";
import { DataType } from "../tensors.js";
import { hasKernel } from "./kernels.js";
import { isNewer } from "./lower.js";
import type { Target } from "./target.js";

/** Operators whose kernel on WebGPU is there and not good enough, and why. Measured by scripts/operators/webgpu.ts. */
export const poorOnWebgpu: ReadonlyMap<string, string> = new Map(
  [
    ["ReduceLogSumExp", "its sum overflows where the inputs are above 88"],
    ["Sin Cos Tan Acos", "the language of its kernels promises 2⁻¹¹ only"],
  ].flatMap(([names, why]) => names!.split(" ").map((name) => [name, why!] as const)),
);

/** The form to put in place of a node on a target; null where the node itself is best. */
export function formOf(target: Target, node: Node, opset: number, shapes: Shapes): Spelling | null {
  if (target === "cpu" || node.domain !== "" || subgraphs(node).length > 0) return null;
  const spelling = forms.get(node.opType) ?? spellingOfRule(node.opType) ?? null;
  if (spelling === null || !isComputed(node, shapes)) return null;
  // The runtime's change of layout takes the pads of some axes for those of all.
  if (node.opType === "Pad") return node.inputs[3] ? spelling : null;
  if (node.opType === "Resize")
    return target === "webgpu" && int(node, "antialias", 0) !== 0 ? spelling : null;
  if (isNewer(node, opset)) return spelling;
  if (target === "webgpu" && poorOnWebgpu.has(node.opType)) return spelling;
  return hasKernel(target, node.opType, opset) ? null : spelling;
}

/** Whether an operator can be spelled out in others that a target runs. */
export function hasForm(target: Target, opType: string): boolean {
  // It is spelled by the node's own indices, which only differentiation can use.
  if (opType === "Unique" || (opType === "Acos" && !hasKernel(target, "Asin", 18))) return false;
  return forms.has(opType) || spellingOfRule(opType) !== undefined;
}

/** Whether a node works on the numbers of a network; whole numbers are shapes and indices, which may stay on the CPU. */
function isComputed(node: Node, shapes: Shapes): boolean {
  const types = [node.inputs[0], node.outputs[0]].map((name) => shapes.elemType(name ?? ""));
  return types.some((type) => type === DataType.FLOAT || type === DataType.FLOAT16 || type === DataType.BOOL);
}

const forms = new Map<string, Spelling>();

function define(opTypes: string, spelling: Spelling): void {
  for (const opType of opTypes.split(" ")) forms.set(opType, spelling);
}

const sum = (b: Builder, terms: readonly string[]): string => terms.reduce((p, q) => b.op("Add", [p, q]));

/** a · x + c with numbers. */
function affine(b: Builder, x: string, a: number, c: number): string {
  const scaled = a === 1 ? x : b.op("Mul", [x, b.scalar(a, x)]);
  return c === 0 ? scaled : b.op("Add", [scaled, b.scalar(c, x)]);
}

define("Sum", ({ b, x }) => sum(b, x));
define("Mean", ({ b, x }) => affine(b, sum(b, x), 1 / x.length, 0));

// Activations.
define("Celu", ({ b, x: [x], node }) => {
  const alpha = float(node, "alpha", 1);
  return affine(b, b.op("Elu", [affine(b, x!, 1 / alpha, 0)]), alpha, 0);
});
define("Selu", ({ b, x: [x], node }) => {
  const [alpha, gamma] = [
    float(node, "alpha", 1.67326319217681884765625),
    float(node, "gamma", 1.05070102214813232421875),
  ];
  return affine(b, b.op("Elu", [x!], { alpha }), gamma, 0);
});
define("Softsign", ({ b, x: [x] }) => b.op("Div", [x!, affine(b, b.op("Abs", [x!]), 1, 1)]));
define("Mish", ({ b, x: [x] }) => b.op("Mul", [x!, b.op("Tanh", [b.op("Softplus", [x!])])]));
define("Swish", ({ b, x: [x], node }) =>
  b.op("Mul", [x!, b.op("Sigmoid", [affine(b, x!, float(node, "alpha", 1), 0)])]),
);
define("Shrink", ({ b, x: [x], node }) => {
  const [bound, bias] = [float(node, "lambd", 0.5), float(node, "bias", 0)];
  const [above, below] = [
    b.op("Greater", [x!, b.scalar(bound, x!)]),
    b.op("Less", [x!, b.scalar(-bound, x!)]),
  ];
  return b.op("Where", [
    above,
    affine(b, x!, 1, -bias),
    b.op("Where", [below, affine(b, x!, 1, bias), b.scalar(0, x!)]),
  ]);
});
define("Gelu", ({ b, x: [x], node }) => {
  if (string(node, "approximate", "none") === "tanh") {
    const k = Math.sqrt(2 / Math.PI);
    const inner = b.op("Mul", [x!, affine(b, b.op("Mul", [x!, x!]), 0.044715 * k, k)]);
    return b.op("Mul", [x!, affine(b, b.op("Tanh", [inner]), 0.5, 0.5)]);
  }
  return b.op("Mul", [x!, affine(b, b.op("Erf", [affine(b, x!, Math.SQRT1_2, 0)]), 0.5, 0.5)]);
});
// At inference, or with nothing dropped.
define("Dropout", ({ b, x, node, fail }) => {
  const training = x[2] ? b.shapes.numbers(x[2])?.[0] : 0;
  if ((training !== 0 && b.shapes.numbers(x[1] ?? "")?.[0] !== 0) || node.outputs[1])
    throw fail("it is in training mode");
  return x[0]!;
});

// Softmax family: without overflow.
define("LogSoftmax", ({ b, x: [x], node }) => {
  const axes = b.ints([int(node, "axis", -1)]);
  const centred = b.op("Sub", [x!, b.op("ReduceMax", [x!, axes])]);
  return b.op("Sub", [centred, b.op("Log", [b.op("ReduceSum", [b.op("Exp", [centred]), axes])])]);
});
define("ReduceLogSumExp", ({ b, x, node, fail }) => {
  const kept = int(node, "keepdims", 1) !== 0;
  const options = { noop_with_empty_axes: int(node, "noop_with_empty_axes", 0) };
  const axes = x[1] || null;
  if (!kept && !(axes ? b.shapes.numbers(axes) : null)) throw fail("its axes are known only at run time");
  const most = b.op("ReduceMax", [x[0]!, axes], { keepdims: 1, ...options });
  const powers = b.op("Exp", [b.op("Sub", [x[0]!, most])]);
  const logarithm = b.op("Add", [
    b.op("Log", [b.op("ReduceSum", [powers, axes], { keepdims: 1, ...options })]),
    most,
  ]);
  return kept ? logarithm : b.op("Squeeze", [logarithm, axes]);
});

// Signs, rounding, truth values.
define("Sign", ({ b, x: [x] }) => {
  const zero = b.scalar(0, x!);
  const is = (opType: string): string => b.castLike(b.op(opType, [x!, zero]), x!);
  return b.op("Sub", [is("Greater"), is("Less")]);
});
// Halves go to the even neighbour.
define("Round", ({ b, x: [x] }) => {
  const up = b.op("Floor", [affine(b, x!, 1, 0.5)]);
  const half = b.op("Equal", [b.op("Sub", [up, x!]), b.scalar(0.5, x!)]);
  const odd = b.op("Equal", [
    b.op("Sub", [up, affine(b, b.op("Floor", [affine(b, up, 0.5, 0)]), 2, 0)]),
    b.scalar(1, x!),
  ]);
  return b.op("Where", [b.op("And", [half, odd]), affine(b, up, 1, -1), up]);
});
define("Or", ({ b, x }) => b.op("Not", [b.op("And", [b.op("Not", [x[0]!]), b.op("Not", [x[1]!])])]));

// Trigonometry: the distance r from a multiple n of π in three steps, then a polynomial; the sign is that of (−1)ⁿ.
define("Sin", ({ b, x: [x] }) => wave(b, x!, 0));
define("Cos", ({ b, x: [x] }) => wave(b, x!, 0.5));
define("Tan", ({ b, x: [x] }) => b.op("Div", [wave(b, x!, 0), wave(b, x!, 0.5)]));
define("Acos", ({ b, x: [x], target, fail }) => {
  if (!hasForm(target, "Acos")) throw fail("there is no Asin either");
  return b.op("Sub", [b.scalar(Math.PI / 2, x!), b.op("Asin", [x!])]);
});

/** π in parts, of which products with small whole numbers are exact. */
const partsOfPi = [3.140625, 0.0009670257568359375, 6.2771141529083252e-7];
/** (sin r)/r in r², from the last power. */
const series = [-1 / 39916800, 1 / 362880, -1 / 5040, 1 / 120, -1 / 6, 1];

/** sin(x + shift · π) for a shift of 0 or ½. */
function wave(b: Builder, x: string, shift: number): string {
  // sin(x + π/2) = −sin(x − (n + ½)π) (−1)ⁿ⁺¹ … = (−1)ⁿ sin(r) for r = x − (n − shift) π.
  const n = b.op("Floor", [affine(b, affine(b, x, 1 / Math.PI, 0), 1, shift + 0.5)]);
  const turns = shift === 0 ? n : affine(b, n, 1, -shift);
  const r = partsOfPi.reduce((rest, part) => b.op("Sub", [rest, affine(b, turns, part, 0)]), x);
  const square = b.op("Mul", [r, r]);
  const [first, ...others] = series as [number, ...number[]];
  const poly = others.reduce<string | null>(
    (value, next) =>
      value === null
        ? affine(b, square, first, next)
        : b.op("Add", [b.op("Mul", [value, square]), b.scalar(next, x)]),
    null,
  )!;
  const half = b.op("Floor", [affine(b, n, 0.5, 0)]);
  // 1 − 2 (n mod 2)
  const sign = affine(b, b.op("Sub", [n, affine(b, half, 2, 0)]), -2, 1);
  return b.op("Mul", [sign, b.op("Mul", [r, poly])]);
}

// Normalisations.
define("RMSNormalization", (c) => {
  const { b, x, node, rank } = c;
  const count = rank(x[0]!);
  const first = c.axis(int(node, "axis", -1), count);
  const axes = b.ints(Array.from({ length: count - first }, (_, i) => first + i));
  const square = b.op("ReduceMean", [b.op("Mul", [x[0]!, x[0]!]), axes]);
  const root = b.op("Sqrt", [affine(b, square, 1, float(node, "epsilon", 1e-5))]);
  return b.op("Mul", [b.op("Div", [x[0]!, root]), x[1]!]);
});
// Scale and bias were per group before operator set 21.
define("GroupNormalization", ({ b, x, node, rank }) => {
  const count = rank(x[0]!);
  const groups = int(node, "num_groups", 1);
  const rows = b.reshape(x[0]!, [0, groups, -1]);
  const mean = (value: string): string => b.op("ReduceMean", [value, b.ints([2])]);
  const centred = b.op("Sub", [rows, mean(rows)]);
  const variance = mean(b.op("Mul", [centred, centred]));
  const even = b.op("Div", [centred, b.op("Sqrt", [affine(b, variance, 1, float(node, "epsilon", 1e-5))])]);
  const perGroup = b.graph.opsets.get("")! < 21;
  const column = (vector: string): string =>
    b.reshape(vector, [-1, ...new Array<number>(perGroup ? 1 : count - 2).fill(1)]);
  const scaled = (value: string): string => b.op("Add", [b.op("Mul", [value, column(x[1]!)]), column(x[2]!)]);
  return perGroup ? b.reshapeLike(scaled(even), x[0]!) : scaled(b.reshapeLike(even, x[0]!));
});

// Movement.
define("SpaceToDepth", ({ b, x: [x], node, fail }) => {
  const size = int(node, "blocksize", 1);
  const [, channels, height, width] = b.shapes.dims(x!) ?? [];
  if (![channels, height, width].every((dim) => typeof dim === "number"))
    throw fail("its sizes are known only at run time");
  const [c, h, w] = [channels, height, width] as number[] as [number, number, number];
  const blocks = b.reshape(x!, [-1, c, h / size, size, w / size, size]);
  const turned = b.op("Transpose", [blocks], { perm: [0, 3, 5, 1, 2, 4] });
  return b.reshape(turned, [-1, c * size * size, h / size, w / size]);
});
// A plain copy to places that are all different.
define("MaxUnpool", ({ b, x, y, fail }) => {
  const dims = b.shapes.staticDims(y);
  const shape = dims ? b.ints(dims) : x[2];
  if (!shape) throw fail("its sizes are known only at run time");
  const count = dims
    ? b.ints([dims.reduce((p, q) => p * q, 1)])
    : b.op("ReduceProd", [shape], { keepdims: 1 });
  const zeros = b.op("Expand", [b.scalar(0, x[0]!), count]);
  const [values, places] = [x[0]!, x[1]!].map((value) => b.op("Reshape", [value, b.ints([-1])]));
  return b.op("Reshape", [b.op("ScatterElements", [zeros, places!, values!], { axis: 0 }), shape]);
});

define("Pad", ({ b, x, node, rank, axis, fail }) => {
  const [pads, axes, count] = [b.shapes.numbers(x[1]!), b.shapes.numbers(x[3]!), rank(x[0]!)];
  if (!pads || !axes) throw fail("its pads are known only at run time");
  const all = new Array<number>(2 * count).fill(0);
  axes.forEach((given, i) => {
    const at = axis(given, count);
    all[at] = pads[i]!;
    all[count + at] = pads[axes.length + i]!;
  });
  return b.op("Pad", [x[0]!, b.ints(all), x[2] || null], { mode: string(node, "mode", "constant") });
});

define("Resize", (c: NodeContext) => resizeByMaps(c));
