/** Normalisations of ONNX Runtime's own domain. */
import { float, int } from "../attributes.js";
import type { Builder } from "../builder.js";
import { DataType } from "../tensors.js";
import type { NodeContext } from "../rules/rule.js";
import { silu } from "./activations.js";
import { add, affine, define, turned } from "./table.js";

/** x / √(mean x² + ε) · scale over all axes from `first` on, and the factor that x has. */
function rootMeanSquare(
  b: Builder,
  x: string,
  scale: string,
  axes: readonly number[],
  epsilon: number,
): string[] {
  const square = b.op("ReduceMean", [b.op("Mul", [x, x]), b.ints(axes)], { keepdims: 1 });
  const root = b.op("Sqrt", [affine(b, square, 1, epsilon)]);
  return [b.op("Mul", [b.op("Div", [x, root]), scale]), b.op("Reciprocal", [root])];
}

function layerNorm(
  c: NodeContext,
  x: string,
  scale: string,
  bias: string | undefined,
  epsilon: number,
): string[] {
  return c.b.ops(
    "LayerNormalization",
    [x, scale, bias || null],
    c.node.outputs[1] || c.node.outputs[2] ? 3 : 1,
    {
      axis: -1,
      epsilon,
    },
  );
}

// Outputs: the result, mean and 1/σ, and the sum that was normalised.
define("SkipLayerNormalization", (c) => {
  const { b, x, node } = c;
  const sum = add(b, x[0], x[1], x[4]);
  const [y, mean, r] = layerNorm(c, sum, x[2]!, x[3], float(node, "epsilon", 1e-12));
  return [y!, mean ?? null, r ?? null, sum];
});
define("SkipSimplifiedLayerNormalization", ({ b, x, node }) => {
  const sum = add(b, x[0], x[1], x[3]);
  const [y, r] = rootMeanSquare(b, sum, x[2]!, [-1], float(node, "epsilon", 1e-12));
  return [y!, null, r!, sum];
});
define("ai.onnx:SimplifiedLayerNormalization", (c) => {
  const { b, x, node, rank } = c;
  const count = rank(x[0]!);
  const first = c.axis(int(node, "axis", -1), count);
  const axes = Array.from({ length: count - first }, (_, i) => first + i);
  return rootMeanSquare(b, x[0]!, x[1]!, axes, float(node, "epsilon", 1e-5));
});

// Words, places and segments are looked up and added; masks are counted.
define("EmbedLayerNormalization", (c) => {
  const { b, x, node } = c;
  const [ids, segments, words, places, segmentTable, gamma, beta, mask, given] = x;
  // Without places given, they count up.
  const length = (): string => b.op("Squeeze", [b.sizes(ids!, [1])]);
  const at = given || b.op("Unsqueeze", [b.op("Range", [b.int(0), length(), b.int(1)]), b.ints([0])]);
  const sum = add(
    b,
    b.op("Gather", [words!, ids!], { axis: 0 }),
    b.op("Gather", [places!, at], { axis: 0 }),
    segments && segmentTable ? b.op("Gather", [segmentTable, segments], { axis: 0 }) : null,
  );
  const [y] = layerNorm(c, sum, gamma!, beta, float(node, "epsilon", 1e-12));
  const counts = mask
    ? b.op("Cast", [b.op("ReduceSum", [mask, b.ints([1])], { keepdims: 0 })], { to: DataType.INT32 })
    : b.op("Expand", [b.constant([0], [1], DataType.INT32), b.sizes(ids!, [0])]);
  return [y!, counts, sum];
});

/** Over each group of channels of x [N, C, H, W], or [N, H, W, C]. */
function groupNorm(c: NodeContext, x: string, gamma: string, beta: string): string {
  const { b, node } = c;
  const groups = int(node, "groups", 0);
  if (groups <= 0) throw new Error("its number of groups is not positive");
  const last = int(node, "channels_last", 1) !== 0;
  const planes = last ? turned(b, x, [0, 3, 1, 2]) : x;
  const rows = b.reshape(planes, [0, groups, -1]);
  const even = b.op("InstanceNormalization", [rows, b.filled(1, [groups], x), b.filled(0, [groups], x)], {
    epsilon: float(node, "epsilon", 1e-5),
  });
  const column = (vector: string): string => b.reshape(b.castLike(vector, x), [-1, 1, 1]);
  const scaled = add(b, b.op("Mul", [b.reshapeLike(even, planes), column(gamma)]), column(beta));
  const y = int(node, "activation", 0) === 0 ? scaled : silu(b, scaled);
  return last ? turned(b, y, [0, 2, 3, 1]) : y;
}

define("GroupNorm", (c) => groupNorm(c, c.x[0]!, c.x[1]!, c.x[2]!));
define("SkipGroupNorm", (c) => {
  const { b, x, rank } = c;
  const last = int(c.node, "channels_last", 1) !== 0;
  // A skip of [N, C] is one per channel.
  const spread = (value: string | undefined): string | undefined => {
    if (!value || rank(value) !== 2) return value;
    return b.unsqueeze(value, last ? [1, 2] : [2, 3]);
  };
  const bias = x[4] && !last ? b.reshape(x[4], [-1, 1, 1]) : x[4];
  const sum = add(b, x[0], spread(x[3]), bias);
  return [groupNorm(c, sum, x[1]!, x[2]!), sum];
});
