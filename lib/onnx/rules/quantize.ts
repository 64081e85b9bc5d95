/**
 * Quantised numbers, with the straight-through gradient (straight-through.ts). A frozen quantised weight costs nothing here:
 * DequantizeLinear is linear, and the runtime leaves it where it is instead of folding it into a copy in float32.
 */
import { float, int, ints, string } from "../attributes.js";
import type { Builder } from "../builder.js";
import { isStatic } from "../shapes/dims.js";
import { DataType, integerRange } from "../tensors.js";
import { define, expanded, type NodeContext, type RuleContext, type Spelling } from "./rule.js";

/** The largest numbers of the types of eight bits with a point; they have no zero point. */
const largest8 = new Map<number, number>([
  [DataType.FLOAT8E4M3FN, 448],
  [DataType.FLOAT8E4M3FNUZ, 240],
  [DataType.FLOAT8E5M2, 57344],
  [DataType.FLOAT8E5M2FNUZ, 57344],
]);

/** What a quantised value and the real one that it stands for have in common. */
interface Scaling {
  /** One number, one for each place along `axis`, or one for each block along it. */
  readonly scale: string;
  readonly zeroPoint: string;
  readonly axis: number;
  readonly block: number;
}

function scalingOf({ node, x }: NodeContext, scale: number): Scaling {
  return {
    scale: x[scale]!,
    zeroPoint: x[scale + 1] ?? "",
    axis: int(node, "axis", 1),
    block: int(node, "block_size", 0),
  };
}

/** A scale or zero point in a shape that broadcasts against `value`. */
function spread(c: NodeContext, parameter: string, value: string, { axis, block }: Scaling): string {
  const { b } = c;
  const dims = b.shapes.dims(parameter);
  const count = c.rank(parameter);
  if (count === 0) return parameter;
  const rank = c.rank(value);
  if (count === 1 && dims![0] === 1) return rank > 0 ? parameter : b.op("Reshape", [parameter, b.ints([])]);
  const at = c.axis(axis, rank);
  if (count === 1)
    return b.unsqueeze(
      parameter,
      Array.from({ length: rank - 1 - at }, (_, i) => i + 1),
    );
  if (block === 0) return parameter;
  // Each block's number again for every place in it; the last block may be shorter.
  const wide = b.unsqueeze(parameter, [at + 1]);
  const target = b.op(
    "Concat",
    [
      b.sizes(
        wide,
        Array.from({ length: at + 1 }, (_, i) => i),
      ),
      b.ints([block]),
      ...(at + 1 < rank
        ? [
            b.sizes(
              wide,
              Array.from({ length: rank - at - 1 }, (_, i) => at + 2 + i),
            ),
          ]
        : []),
    ],
    { axis: 0 },
  );
  const repeated = b.op("Expand", [wide, target]);
  const merged = b.op("Reshape", [repeated, mergedSizes(b, repeated, at)]);
  return b.op("Slice", [merged, b.ints([0]), b.sizes(value, [at]), b.ints([at])]);
}

/** The sizes of a value with axes `at` and `at + 1` made one. */
function mergedSizes(b: Builder, value: string, at: number): string {
  const dims = b.shapes.dims(value)!;
  const sizes = dims.flatMap((dim, i) => (i === at ? [-1] : i === at + 1 ? [] : [dim]));
  if (isStatic(sizes)) return b.ints(sizes);
  const before = Array.from({ length: at }, (_, i) => i);
  const after = dims.map((_, i) => i).slice(at + 2);
  return b.op(
    "Concat",
    [
      ...(before.length > 0 ? [b.sizes(value, before)] : []),
      b.ints([-1]),
      ...(after.length > 0 ? [b.sizes(value, after)] : []),
    ],
    { axis: 0 },
  );
}

/**
 * The adjoint of x where y = saturate(round(x / scale) + zero point): g / scale where nothing is cut off, as in
 * torch.fake_quantize_per_tensor_affine. Scales and zero points are constants.
 */
function throughRounding(c: RuleContext, scaling: Scaling): string {
  const { b, g, x, y } = c;
  const scale = spread(c, scaling.scale, x[0]!, scaling);
  const scaled = b.op("Div", [x[0]!, scale]);
  const back = b.op("Div", [b.castLike(g, scale), scale]);
  const elemType = b.shapes.elemType(y);
  const largest = largest8.get(elemType);
  if (largest !== undefined)
    return kept(b, b.op("LessOrEqual", [b.op("Abs", [scaled]), b.scalar(largest, scaled)]), back);
  const range = integerRange(elemType);
  if (range === null) throw c.fail("the range of its type is not known");
  const rounded = b.op("Round", [scaled]);
  const [low, high] = range.map((bound) => {
    const { zeroPoint } = scaling;
    if (zeroPoint === "") return b.scalar(bound, scaled);
    const known = b.shapes.numbers(zeroPoint);
    if (known?.every((value) => value === known[0])) return b.scalar(bound - known[0]!, scaled);
    const point = spread(c, b.castLike(zeroPoint, scaled), x[0]!, scaling);
    return b.op("Sub", [b.scalar(bound, scaled), point]);
  });
  const above = b.op("GreaterOrEqual", [rounded, low!]);
  return kept(b, b.op("And", [above, b.op("LessOrEqual", [rounded, high!])]), back);
}

function kept(b: Builder, inside: string, g: string): string {
  return b.op("Mul", [g, b.castLike(inside, g)]);
}

for (const domain of ["", "com.microsoft."]) {
  define(`${domain}QuantizeLinear`, (c) => [() => throughRounding(c, scalingOf(c, 1)), null, null]);
  define(`${domain}DequantizeLinear`, (c) => [
    () => {
      const { b, g, x, y } = c;
      // The runtime has no Shape of numbers of four bits, so it is the result that is asked.
      const scale = spread(c, x[1]!, y, scalingOf(c, 1));
      return toFloat(b, b.op("Mul", [g, b.castLike(scale, g)]));
    },
    null,
    null,
  ]);
}
/** Adjoints of integers are float32. */
function toFloat(b: Builder, g: string): string {
  return b.shapes.elemType(g) === DataType.FLOAT ? g : b.op("Cast", [g], { to: DataType.FLOAT });
}

// The range is that of the input itself, so nothing is cut off.
define("DynamicQuantizeLinear", ({ b, g, output }) => [() => b.op("Div", [g, output(1)])]);

// Operators on quantised numbers are the real ones between a DequantizeLinear of each operand and a QuantizeLinear of the
// result. -----------------------------------------------------------------------------------------------------------------

/** The real numbers of a quantised operand. */
function real(c: NodeContext, value: string, scale: string, zeroPoint = "", axis = 0): string {
  const { b } = c;
  if (c.rank(scale) <= 1)
    return b.op("DequantizeLinear", [value, scale, fitted(b, zeroPoint, scale)], { axis });
  const whole = b.castLike(value, scale);
  const shifted = zeroPoint === "" ? whole : b.op("Sub", [whole, b.castLike(zeroPoint, scale)]);
  return b.op("Mul", [shifted, scale]);
}

/** A zero point in the shape of its scale; null for none. */
function fitted(b: Builder, zeroPoint: string, scale: string): string | null {
  if (zeroPoint === "") return null;
  const [from, to] = [b.shapes.staticDims(zeroPoint), b.shapes.staticDims(scale)];
  if (from && to && from.length === to.length && from.every((size, i) => size === to[i])) return zeroPoint;
  return b.op("Expand", [b.op("Reshape", [zeroPoint, b.ints([-1])]), b.shapeOf(scale)]);
}

/** A scale of ones for an operand that only has a zero point. */
function ones(c: NodeContext, zeroPoint: string): string {
  const { b } = c;
  if (zeroPoint === "") return b.constant([1], [], DataType.FLOAT);
  c.rank(zeroPoint);
  return b.op("Expand", [b.constant([1], [], DataType.FLOAT), b.shapeOf(zeroPoint)]);
}

function quantised(b: Builder, value: string, scale: string, zeroPoint: string): string {
  return b.op("QuantizeLinear", [value, scale, zeroPoint || null]);
}

/** Operand `i` of three inputs: value, scale, zero point. */
const operand = (c: NodeContext, i: number, axis = 0): string =>
  real(c, c.x[i]!, c.x[i + 1]!, c.x[i + 2], axis);

function windows({ node }: NodeContext): Record<string, number[] | string> {
  const lists = ["kernel_shape", "strides", "dilations", "pads"].map(
    (name) => [name, ints(node, name)] as const,
  );
  return {
    ...(Object.fromEntries(lists.filter(([, value]) => value !== null)) as Record<string, number[]>),
    auto_pad: string(node, "auto_pad", "NOTSET"),
  };
}

const convolution = (c: NodeContext): Record<string, number[] | number | string> => ({
  ...windows(c),
  group: int(c.node, "group", 1),
});

/** A zero point for each row of the left operand lies along the rows. */
function rows(c: NodeContext, value: string, parameter: string): string {
  const several = parameter !== "" && c.rank(parameter) === 1 && c.b.shapes.dims(parameter)![0] !== 1;
  return several && c.rank(value) > 1 ? c.b.unsqueeze(parameter, [1]) : parameter;
}

define(
  "MatMulInteger",
  expanded((c) => {
    const { b, x } = c;
    const [p, q] = [rows(c, x[0]!, x[2] ?? ""), x[3] ?? ""];
    const product = b.op("MatMul", [
      real(c, x[0]!, ones(c, p), p),
      real(c, x[1]!, ones(c, q), q, c.rank(x[1]!) - 1),
    ]);
    return b.op("Cast", [product], { to: DataType.INT32 });
  }),
);
define(
  "ConvInteger",
  expanded((c) => {
    const { b, x } = c;
    const [p, q] = [x[2] ?? "", x[3] ?? ""];
    const operands = [real(c, x[0]!, ones(c, p), p), real(c, x[1]!, ones(c, q), q)];
    return b.op("Cast", [b.op("Conv", operands, convolution(c))], { to: DataType.INT32 });
  }),
);
define(
  "QLinearMatMul",
  expanded((c) => {
    const { b, x } = c;
    const [scale, point] = [rows(c, x[0]!, x[1]!), rows(c, x[0]!, x[2]!)];
    const left = real(c, x[0]!, scale, point);
    return quantised(b, b.op("MatMul", [left, operand(c, 3, c.rank(x[3]!) - 1)]), x[6]!, x[7]!);
  }),
);
define(
  "QLinearConv",
  expanded((c) => {
    const { b, x } = c;
    const bias = x[8] ? b.op("Mul", [b.castLike(x[8], x[1]!), b.op("Mul", [x[1]!, x[4]!])]) : null;
    return quantised(b, b.op("Conv", [operand(c, 0), operand(c, 3), bias], convolution(c)), x[6]!, x[7]!);
  }),
);

/** An operator of com.microsoft in standard ones. */
const microsoft = (opType: string, spelling: Spelling): void =>
  define(`com.microsoft.${opType}`, expanded(spelling));

/** One operand with its scale and zero point, then the result's. */
const unary = (opType: string, f: (c: NodeContext, x: string) => string): void =>
  microsoft(opType, (c) => quantised(c.b, f(c, operand(c, 0)), c.x[3]!, c.x[4] ?? ""));

for (const opType of ["Add", "Mul"])
  microsoft(`QLinear${opType}`, (c) =>
    quantised(c.b, c.b.op(opType, [operand(c, 0), operand(c, 3)]), c.x[6]!, c.x[7] ?? ""),
  );
unary("QLinearSigmoid", ({ b }, x) => b.op("Sigmoid", [x]));
unary("QLinearLeakyRelu", ({ b, node }, x) => b.op("LeakyRelu", [x], { alpha: float(node, "alpha", 0.01) }));
unary("QLinearSoftmax", (c, x) => {
  const axis = c.axis(int(c.node, "axis", -1), c.rank(x));
  if (int(c.node, "opset", 13) < 13 && axis !== c.rank(x) - 1)
    throw c.fail("it is normalised over several axes");
  return c.b.op("Softmax", [x], { axis });
});
unary("QLinearGlobalAveragePool", (c, x) =>
  channelsFirst(c, x, (first) => c.b.op("GlobalAveragePool", [first])),
);
unary("QLinearAveragePool", (c, x) =>
  channelsFirst(c, x, (first) => {
    const flags = ["ceil_mode", "count_include_pad"].map((name) => [name, int(c.node, name, 0)]);
    return c.b.op("AveragePool", [first], {
      ...windows(c),
      ...(Object.fromEntries(flags) as Record<string, number>),
    });
  }),
);
function channelsFirst(c: NodeContext, x: string, f: (x: string) => string): string {
  if (int(c.node, "channels_last", 0) === 0) return f(x);
  const rank = c.rank(x);
  const inner = Array.from({ length: rank - 2 }, (_, i) => i + 1);
  const first = c.b.op("Transpose", [x], { perm: [0, rank - 1, ...inner] });
  return c.b.op("Transpose", [f(first)], { perm: [0, ...inner.map((axis) => axis + 1), 1] });
}
microsoft("QLinearConcat", (c) => {
  const { b, x, node } = c;
  const terms = Array.from({ length: (x.length - 2) / 3 }, (_, i) => operand(c, 2 + 3 * i));
  return quantised(b, b.op("Concat", terms, { axis: int(node, "axis", 0) }), x[0]!, x[1]!);
});
microsoft("QLinearWhere", (c) =>
  quantised(c.b, c.b.op("Where", [c.x[0]!, operand(c, 1), operand(c, 4)]), c.x[7]!, c.x[8] ?? ""),
);
microsoft("QGemm", (c) => {
  const { b, x, node } = c;
  const alpha = float(node, "alpha", 1);
  const [transA, transB] = [int(node, "transA", 0), int(node, "transB", 0)];
  const product = b.op("Gemm", [operand(c, 0), operand(c, 3, transB ? 0 : 1)], { alpha, transA, transB });
  const unit = (): string => b.op("Mul", [b.op("Mul", [x[1]!, x[4]!]), b.scalar(alpha, x[1]!)]);
  const sum = x[6] ? b.op("Add", [product, b.op("Mul", [b.castLike(x[6], x[1]!), unit()])]) : product;
  return x[7] ? quantised(b, sum, x[7], x[8] ?? "") : sum;
});
microsoft("MatMulIntegerToFloat", (c) => {
  const { b, x } = c;
  const last = c.rank(x[1]!) - 1;
  const operands = [real(c, x[0]!, x[2]!, x[4]), real(c, x[1]!, x[3]!, x[5], last)];
  const product = b.op("MatMul", operands);
  return x[6] ? b.op("Add", [product, x[6]]) : product;
});
// The left operand is quantised over the range that it has.
microsoft("DynamicQuantizeMatMul", (c) => {
  const { b, x } = c;
  const product = b.op("MatMul", [x[0]!, real(c, x[1]!, x[2]!, x[3], c.rank(x[1]!) - 1)]);
  return x[4] ? b.op("Add", [product, x[4]]) : product;
});
