/** Old spellings: the upgraded model computes what the old one computes, in ONNX Runtime. */
import assert from "node:assert/strict";
import { makeAttribute, type AttributeValue } from "../../lib/onnx/attributes.js";
import {
  decodeModel,
  DataType,
  emptyGraph,
  encodeModel,
  makeTensor,
  upgradeGraph,
  type Dim,
  type Graph,
} from "../../lib/onnx/index.js";
import { runGraph, size } from "../support/operators.js";
import { random, seedOf, uniform } from "../support/numbers.js";

interface Old {
  opset: number;
  opType: string;
  dims: Dim[];
  attributes?: Record<string, AttributeValue>;
  /** Further inputs, constants: int64 when all are whole numbers and `real` is not set. */
  constants?: { data: number[]; dims?: number[]; real?: boolean }[];
  outputs?: number;
}

function model(old: Old): Graph {
  const graph = emptyGraph("old", old.opset);
  graph.irVersion = 4;
  graph.inputs.push({ name: "x", elemType: DataType.FLOAT, dims: old.dims });
  const inputs = ["x"];
  old.constants?.forEach(({ data, dims, real }, i) => {
    const elemType = real ? DataType.FLOAT : DataType.INT64;
    graph.initializers.set(`c${i}`, makeTensor(`c${i}`, elemType, dims ?? [data.length], data));
    inputs.push(`c${i}`);
  });
  const outputs = Array.from({ length: old.outputs ?? 1 }, (_, i) => `y${i}`);
  graph.nodes.push({
    opType: old.opType,
    domain: "",
    name: "node",
    overload: "",
    inputs,
    outputs,
    attributes: new Map(
      Object.entries(old.attributes ?? {}).map(([name, value]) => [name, makeAttribute(name, value)]),
    ),
  });
  graph.outputs = outputs.map((name) => ({ name, elemType: DataType.FLOAT, dims: null }));
  return graph;
}

const cases: Old[] = [
  { opset: 7, opType: "Squeeze", dims: ["n", 1, 3, 1], attributes: { axes: [1, 3] } },
  { opset: 11, opType: "Unsqueeze", dims: ["n", 3], attributes: { axes: [0, -1] } },
  { opset: 11, opType: "ReduceSum", dims: ["n", 3], attributes: { axes: [1], keepdims: 0 } },
  ...[
    "ReduceMean",
    "ReduceMax",
    "ReduceMin",
    "ReduceProd",
    "ReduceL1",
    "ReduceL2",
    "ReduceSumSquare",
    "ReduceLogSumExp",
  ].map((opType): Old => ({
    opset: 13,
    opType,
    dims: ["n", 3, 2],
    attributes: { axes: [-1, 1], keepdims: 1 },
  })),
  { opset: 13, opType: "ReduceMean", dims: ["n", 3, 2] },
  { opset: 11, opType: "Split", dims: ["n", 5], attributes: { axis: 1, split: [2, 3] }, outputs: 2 },
  { opset: 11, opType: "Split", dims: ["n", 6], attributes: { axis: 1 }, outputs: 3 },
  { opset: 13, opType: "Split", dims: ["n", 6], attributes: { axis: 1 }, outputs: 2 },
  ...["Softmax", "LogSoftmax", "Hardmax"].flatMap((opType) =>
    [undefined, 0, 2, -1, -2].map((axis): Old => ({
      opset: 11,
      opType,
      dims: ["n", 3, 2],
      attributes: axis === undefined ? {} : { axis },
    })),
  ),
  { opset: 7, opType: "Clip", dims: ["n", 6], attributes: { min: -0.3, max: 0.4 } },
  { opset: 7, opType: "Clip", dims: ["n", 6], attributes: { max: 0.1 } },
  { opset: 7, opType: "Dropout", dims: ["n", 6], attributes: { ratio: 0.3 } },
  { opset: 7, opType: "Pad", dims: ["n", 3], attributes: { pads: [0, 1, 0, 2], value: 0.5 } },
  { opset: 7, opType: "Pad", dims: ["n", 3], attributes: { pads: [0, 1, 0, 2], mode: "reflect" } },
  { opset: 7, opType: "Slice", dims: ["n", 6], attributes: { starts: [1], ends: [-1], axes: [1] } },
  { opset: 7, opType: "Slice", dims: ["n", 6], attributes: { starts: [0, 2], ends: [9, 4] } },
  {
    opset: 7,
    opType: "BatchNormalization",
    dims: ["n", 2, 3],
    attributes: { epsilon: 0.01, momentum: 0.9 },
    constants: [
      { data: [1.5, 2], real: true },
      { data: [0, 1], real: true },
      { data: [0.1, 0], real: true },
      { data: [1, 0.5], real: true },
    ],
  },
  {
    opset: 9,
    opType: "Upsample",
    dims: ["n", 2, 3, 2],
    attributes: { mode: "nearest" },
    constants: [{ data: [1, 1, 2, 3], real: true }],
  },
  {
    opset: 9,
    opType: "Upsample",
    dims: ["n", 2, 3, 2],
    attributes: { mode: "linear" },
    constants: [{ data: [1, 1, 2, 2], real: true }],
  },
  {
    opset: 10,
    opType: "Resize",
    dims: ["n", 2, 3, 4],
    attributes: { mode: "nearest" },
    constants: [{ data: [1, 1, 2, 1.5], real: true }],
  },
  {
    opset: 10,
    opType: "Resize",
    dims: ["n", 2, 3, 4],
    attributes: { mode: "nearest" },
    constants: [{ data: [1, 1, 0.7, 0.5], real: true }],
  },
  {
    opset: 10,
    opType: "Resize",
    dims: ["n", 2, 3, 4],
    attributes: { mode: "linear" },
    constants: [{ data: [1, 1, 2, 1.5], real: true }],
  },
  {
    opset: 11,
    opType: "Resize",
    dims: [2, 2, 3, 4],
    attributes: { mode: "linear" },
    constants: [{ data: [], real: true }, { data: [], real: true }, { data: [2, 2, 5, 7] }],
  },
  {
    opset: 12,
    opType: "Resize",
    dims: ["n", 2, 3, 4],
    attributes: { mode: "nearest", nearest_mode: "ceil" },
    constants: [
      { data: [], real: true },
      { data: [1, 1, 2, 2], real: true },
    ],
  },
  { opset: 9, opType: "TopK", dims: ["n", 5], attributes: { k: 2, axis: 1 } },
];

describe("onnx: upgrading old operator sets", () => {
  for (const old of cases)
    it(`${old.opType} ${old.opset} ${JSON.stringify(old.attributes ?? {})}`, async () => {
      const name = `${old.opType}${old.opset}`;
      const graph = model(old);
      if (old.opType === "TopK") {
        // Its second output is int64.
        graph.nodes[0]!.outputs.push("indices");
      }
      const dims = old.dims.map((dim) => (typeof dim === "number" ? dim : 2));
      const x = { dims, data: uniform(random(seedOf(name)), size(dims)) };
      const before = encodeModel(graph);
      const upgraded = upgradeGraph(decodeModel(before));
      assert.ok(upgraded.opsets.get("")! >= 18);
      const [expected, actual] = [await runGraph(before, { x }), await runGraph(upgraded, { x })];
      assert.deepEqual(actual, expected);
      assert.deepEqual(encodeModel(graph), before, "the graph given is unchanged");
    });

  it("Upsample 7 has its scales in an attribute", async () => {
    const graph = model({
      opset: 7,
      opType: "Upsample",
      dims: ["n", 1, 2, 2],
      attributes: { mode: "nearest", scales: [1, 1, 2, 2] },
    });
    const x = { dims: [1, 1, 2, 2], data: [1, 2, 3, 4] };
    const upgraded = upgradeGraph(decodeModel(encodeModel(graph)));
    assert.deepEqual(
      [...(await runGraph(upgraded, { x })).y0!.data],
      [1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4],
    );
  });

  it("what cannot be said in a new operator set is a typed error", () => {
    const refuse = (old: Old, pattern: RegExp): void =>
      assert.throws(
        () => upgradeGraph(model(old)),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, "ERR_MODEL_UNSUPPORTED");
          return pattern.test(error.message);
        },
      );
    refuse({ opset: 6, opType: "Relu", dims: [1] }, /operator set 6, expected 7 or newer/);
    refuse({ opset: 7, opType: "BatchNormalization", dims: [1], attributes: { spatial: 0 } }, /spatial/);
    refuse({ opset: 9, opType: "BatchNormalization", dims: [1], outputs: 5 }, /exported for training/);
    refuse({ opset: 8, opType: "Scan", dims: [1] }, /Scan node "node".*lengths of their own/);
    refuse(
      {
        opset: 11,
        opType: "Resize",
        dims: [1],
        attributes: { coordinate_transformation_mode: "tf_half_pixel_for_nn" },
      },
      /tf_half_pixel_for_nn/,
    );
  });
});
