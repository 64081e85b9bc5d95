import assert from "node:assert/strict";
import { Builder, DataType, differentiateGraph, emptyGraph, type Dim } from "../../lib/onnx/index.js";
import { checkGradient, runGraph, type Case, type InputSpec } from "../support/operators.js";
import { uniform } from "../support/numbers.js";

const positive: InputSpec["values"] = (next, count) => uniform(next, count, 0.3, 1.5);

function reduce(
  opType: string,
  dims: Dim[],
  axes: number[] | null,
  attributes: Record<string, number> = {},
): Case {
  return {
    name: `${opType} of ${JSON.stringify(dims)} over ${JSON.stringify(axes)} ${JSON.stringify(attributes)}`,
    inputs: { x: { dims, values: opType.includes("Log") ? positive : undefined } },
    build: (b, { x }) => b.op(opType, [x!, axes && b.ints(axes)], attributes),
  };
}

const operators =
  "ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum ReduceLogSumExp".split(
    " ",
  );

const cases: Case[] = [
  ...operators.flatMap((opType) => [
    reduce(opType, ["batch", 3, 4], [1]),
    reduce(opType, ["batch", 3, 4], [-1], { keepdims: 0 }),
    reduce(opType, ["batch", 3, 2], [0, 2], { keepdims: 0 }),
    reduce(opType, ["batch", 4], null),
    reduce(opType, ["batch", 4], null, { keepdims: 0 }),
  ]),
  reduce("ReduceSum", ["batch", 4], null, { noop_with_empty_axes: 1 }),
  reduce("ReduceMean", ["batch", "n", 2], [1], { keepdims: 0 }),
  {
    name: "ReduceMean over axes made at run time",
    inputs: { x: { dims: ["batch", 3, 2] }, axes: { dims: [1], type: "int64", values: () => [1] } },
    build: (b, { x, axes }) => b.op("ReduceMean", [x!, axes!], { keepdims: 0 }),
  },
  ...[0, -0].flatMap((zero): Case[] => [
    {
      name: `ReduceProd with no, one, two and three zeros (${Object.is(zero, -0) ? "-0" : "0"})`,
      inputs: {
        x: {
          dims: ["batch", 4, 3],
          values: (_, count) =>
            [1.5, zero, 2, zero, zero, 3, 1, 2, 3, zero, zero, zero]
              .concat(new Array(24).fill(zero))
              .slice(0, count),
        },
      },
      build: (b, { x }) => b.op("ReduceProd", [x!, b.ints([2])]),
    },
    {
      name: `ReduceProd over two axes with one zero (${Object.is(zero, -0) ? "-0" : "0"})`,
      inputs: { x: { dims: [2, 3, 2], values: () => [1.5, zero, 2, 0.5, -1, 3, 1, 2, 3, zero, zero, 2] } },
      build: (b, { x }) => b.op("ReduceProd", [x!, b.ints([0, -1])], { keepdims: 0 }),
    },
  ]),
  {
    name: "ReduceProd over an axis whose size is known at run time, with a zero",
    inputs: {
      x: {
        dims: ["batch", "n", 2],
        values: (next, count) => uniform(next, count, 0.5, 1.5).map((value, i) => (i === 1 ? 0 : value)),
      },
    },
    build: (b, { x }) => b.op("ReduceProd", [x!, b.ints([1, 2])], { keepdims: 0 }),
  },
  ...[5, 7, 8, 1].map((n): Case => ({
    name: `ReduceProd of ${n}`,
    inputs: { x: { dims: [2, n], values: (next, count) => uniform(next, count, 0.5, 1.5) } },
    build: (b, { x }) => b.op("ReduceProd", [x!, b.ints([1])]),
  })),
  ...["Softmax", "LogSoftmax"].flatMap((opType) =>
    [-1, 1, 0].map((axis): Case => ({
      name: `${opType} axis ${axis}`,
      inputs: { x: { dims: ["batch", 4, 3] } },
      build: (b, { x }) => b.op(opType, [x!], { axis }),
    })),
  ),
  ...[
    [0, 0],
    [1, 0],
    [0, 1],
    [1, 1],
  ].map(([exclusive, reverse]): Case => ({
    name: `CumSum exclusive ${exclusive} reverse ${reverse}`,
    inputs: { x: { dims: ["batch", 4] } },
    build: (b, { x }) => b.op("CumSum", [x!, b.int(1)], { exclusive: exclusive!, reverse: reverse! }),
  })),
];

describe("onnx rules: reductions and softmax", () => {
  for (const spec of cases) it(spec.name, () => checkGradient(spec));

  for (const n of [0, "n"])
    it(`ReduceProd over an axis without elements, ${n === 0 ? "as declared" : "as found at run time"}`, async () => {
      const b = new Builder(emptyGraph("empty"));
      const x = b.input("x", DataType.FLOAT, [2, n, 3]);
      b.output("y", b.op("ReduceProd", [x, b.ints([1])], { keepdims: 0 }));
      const feeds = { x: { dims: [2, 0, 3], data: [] }, grad_y: { dims: [2, 3], data: [1, 2, 3, 4, 5, 6] } };
      const { y, grad_x } = await runGraph(differentiateGraph(b.graph), feeds);
      assert.deepEqual([...y!.data], [1, 1, 1, 1, 1, 1]);
      assert.deepEqual([...grad_x!.dims], [2, 0, 3]);
    });
});
