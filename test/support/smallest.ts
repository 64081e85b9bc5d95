/** The smallest node of every operator that has a rule, in numbers of one kind: what says whether a kernel is there. */
import type { Attributes } from "../../lib/onnx/builder.js";
import { Builder, DataType, emptyGraph, type Graph } from "../../lib/onnx/index.js";

type Make = (b: Builder, float: number, input: (...dims: number[]) => string) => string;

const unary =
  (attributes: Attributes = {}, ...dims: number[]) =>
  (opType: string): Make =>
  (b, _, input) =>
    b.op(opType, [input(...(dims.length ? dims : [2, 3]))], attributes);
const of =
  (count: number, attributes: Attributes = {}, ...dims: number[]) =>
  (opType: string): Make =>
  (b, _, input) =>
    b.op(
      opType,
      Array.from({ length: count }, () => input(...(dims.length ? dims : [2, 3]))),
      attributes,
    );
const withInts =
  (ints: (b: Builder) => string[], attributes: Attributes = {}, ...dims: number[]) =>
  (opType: string): Make =>
  (b, _, input) =>
    b.op(opType, [input(...(dims.length ? dims : [2, 3])), ...ints(b)], attributes);
const free = (make: Make) => (): Make => make;

const window = { kernel_shape: [2, 2] };

/** How operators are called that are not just f(x [2, 3]). */
const calls: [string, (opType: string) => Make][] = [
  ["Add Sub Mul Div Pow PRelu CastLike Sum Mean Max Min", of(2)],
  ["Mod", of(2, { fmod: 1 })],
  ["ArgMax ArgMin", unary({ axis: 1 })],
  [
    "Equal Greater GreaterOrEqual Less LessOrEqual",
    (opType) => (b, float, input) => b.op("Cast", [b.op(opType, [input(2, 3), input(2, 3)])], { to: float }),
  ],
  [
    "And Or Xor Not",
    (opType) => (b, float, input) => {
      const truths = Array.from({ length: opType === "Not" ? 1 : 2 }, () =>
        b.op("Cast", [input(2, 3)], { to: DataType.BOOL }),
      );
      return b.op("Cast", [b.op(opType, truths)], { to: float });
    },
  ],
  [
    "IsInf IsNaN",
    (opType) => (b, float, input) => b.op("Cast", [b.op(opType, [input(2, 3)])], { to: float }),
  ],
  ["MatMul Gemm", of(2, {}, 3, 3)],
  ["Einsum", of(2, { equation: "ij,jk->ik" }, 3, 3)],
  ["Concat", of(2, { axis: 1 })],
  ["Cast", free((b, float, input) => b.op("Cast", [input(2, 3)], { to: float }))],
  ["Where", free((b, _, input) => b.op("Where", [b.constant([1], [1], 9), input(2, 3), input(2, 3)]))],
  ["AffineGrid", withInts((b) => [b.ints([1, 1, 3, 3])], {}, 1, 2, 3)],
  ["CenterCropPad", withInts((b) => [b.ints([3, 2])])],
  ["Col2Im", withInts((b) => [b.ints([4, 4]), b.ints([2, 2])], {}, 1, 4, 9)],
  ["Det", unary({}, 2, 3, 3)],
  ["DFT", unary({}, 1, 4, 1)],
  ["STFT", free((b, _, input) => b.op("STFT", [input(1, 8, 1), b.int(2), input(4)]))],
  ["NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss", withInts((b) => [b.ints([0, 1])])],
  ["Range", free((b, _, input) => b.op("Range", [input(), input(), input()]))],
  ["Attention", of(3, {}, 1, 2, 3, 4)],
  [
    "RotaryEmbedding",
    free((b, _, input) => b.op("RotaryEmbedding", [input(1, 2, 3, 4), input(1, 3, 2), input(1, 3, 2)])),
  ],
  ...(["RNN", "GRU", "LSTM"] as const).map((opType, i): [string, (opType: string) => Make] => {
    const gates = [1, 3, 4][i]!;
    return [
      opType,
      free((b, _, input) =>
        b.op(opType, [input(2, 1, 2), input(1, gates * 2, 2), input(1, gates * 2, 2)], { hidden_size: 2 }),
      ),
    ];
  }),
  ["AveragePool MaxPool LpPool", unary(window, 1, 1, 4, 4)],
  ["GlobalAveragePool GlobalMaxPool GlobalLpPool", unary({}, 1, 2, 4, 4)],
  [
    "MaxUnpool",
    free((b, _, input) =>
      b.op("MaxUnpool", [input(1, 1, 2, 2), b.constant([0, 3, 9, 14], [1, 1, 2, 2], 7)], {
        ...window,
        strides: [2, 2],
      }),
    ),
  ],
  ["Conv ConvTranspose", of(2, {}, 1, 1, 4, 4)],
  [
    "BatchNormalization",
    free((b, _, input) =>
      b.op("BatchNormalization", [input(1, 2, 3, 3), input(2), input(2), input(2), input(2)]),
    ),
  ],
  [
    "InstanceNormalization",
    free((b, _, input) => b.op("InstanceNormalization", [input(1, 2, 3, 3), input(2), input(2)])),
  ],
  [
    "GroupNormalization",
    free((b, _, input) =>
      b.op("GroupNormalization", [input(1, 4, 3, 3), input(4), input(4)], { num_groups: 2 }),
    ),
  ],
  [
    "LayerNormalization",
    free((b, _, input) => b.op("LayerNormalization", [input(2, 3), input(3), input(3)])),
  ],
  ["RMSNormalization", free((b, _, input) => b.op("RMSNormalization", [input(2, 3), input(3)]))],
  ["MeanVarianceNormalization", unary({}, 1, 2, 3, 3)],
  ["LRN", unary({ size: 3 }, 1, 2, 3, 3)],
  ["LpNormalization", unary()],
  ["DepthToSpace", unary({ blocksize: 2 }, 1, 4, 2, 2)],
  ["SpaceToDepth", unary({ blocksize: 2 }, 1, 1, 4, 4)],
  ["GridSample", free((b, _, input) => b.op("GridSample", [input(1, 1, 4, 4), input(1, 2, 2, 2)]))],
  ["Clip", of(1)],
  ["Compress", withInts((b) => [b.constant([1, 0, 1], [3], 9)], { axis: 1 })],
  ["CumSum CumProd Trilu", withInts((b) => [b.int(1)])],
  ["Expand Reshape", withInts((b) => [b.ints([2, 3])])],
  ["Unsqueeze", withInts((b) => [b.ints([0])])],
  ["Squeeze", withInts((b) => [b.ints([0])], {}, 1, 3)],
  ["Tile", withInts((b) => [b.ints([2, 1])])],
  ["Pad", withInts((b) => [b.ints([1, 1, 0, 0])])],
  ["Slice", withInts((b) => [b.ints([0]), b.ints([1])])],
  ["Split", unary({ axis: 1, num_outputs: 1 })],
  ["TopK", free((b, _, input) => b.ops("TopK", [input(2, 3), b.ints([2])], 2)[0]!)],
  ["Gather", withInts((b) => [b.ints([0])])],
  ["GatherElements GatherND", withInts((b) => [b.constant([0, 1], [2, 1], 7)])],
  [
    "ScatterElements",
    free((b, _, input) => b.op("ScatterElements", [input(2, 3), b.constant([0, 1], [2, 1], 7), input(2, 1)])),
  ],
  [
    "ScatterND",
    free((b, _, input) => b.op("ScatterND", [input(2, 3), b.constant([1, 0], [2, 1], 7), input(2, 3)])),
  ],
  ["OneHot", free((b, _, input) => b.op("OneHot", [b.ints([0, 1]), b.int(3), input(2)]))],
  ["ReverseSequence", withInts((b) => [b.ints([1, 2, 2])])],
  [
    "Resize",
    free((b, _, input) => b.op("Resize", [input(1, 1, 2, 2), null, b.constant([1, 1, 2, 2], [4], 1)])),
  ],
];

/** Operators that have no smallest node: their bodies decide what runs. */
export const withBodies: ReadonlySet<string> = new Set(["If", "Loop", "Scan"]);

const table = new Map(calls.flatMap(([names, call]) => names.split(" ").map((name) => [name, call(name)])));

/** The operator set that introduced an operator, where that is newer than the one the rules are written in. */
const introduced: Record<string, number> = {
  AffineGrid: 20,
  Attention: 23,
  CumProd: 26,
  Gelu: 20,
  RMSNormalization: 23,
  RotaryEmbedding: 23,
  Swish: 24,
};

/** A model of one node. Operators that are not in the table above are functions of one tensor. */
export function smallest(opType: string, float: number, opset: number): Graph {
  const b = new Builder(emptyGraph(opType, Math.max(opset, introduced[opType] ?? 0)));
  let inputs = 0;
  const input = (...dims: number[]): string => b.input(`x${inputs++}`, float, dims);
  const y = (table.get(opType) ?? unary()(opType))(b, float, input);
  b.output("y", y);
  b.graph.outputs[0]!.elemType ||= float;
  return b.graph;
}
