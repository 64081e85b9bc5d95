import { checkGradient, type Case, type InputSpec } from "../support/operators.js";
import type { Dim } from "../../lib/onnx/index.js";
import { uniform } from "../support/numbers.js";

/** int64 values, known only when the model runs. */
const indices = (dims: Dim[], values: number[]): InputSpec => ({ dims, type: "int64", values: () => values });
const below = (dims: Dim[], limit: number): InputSpec => ({
  dims,
  type: "int64",
  values: (next, count) => uniform(next, count, 0, limit).map(Math.floor),
});
const positive: InputSpec["values"] = (next, count) => uniform(next, count, 0.5, 1.5);

function scatterElements(
  reduction: string,
  data: Dim[],
  places: InputSpec,
  axis: number,
  more: Partial<Case> = {},
): Case {
  return {
    name: `ScatterElements ${reduction} ${JSON.stringify([data, places.dims])} axis ${axis}`,
    inputs: { x: { dims: data }, i: places, u: { dims: places.dims, values: positive } },
    build: (b, { x, i, u }) => b.op("ScatterElements", [x!, i!, u!], { axis, reduction }),
    ...more,
  };
}

function scatterND(reduction: string, data: Dim[], places: InputSpec, updates: Dim[]): Case {
  return {
    name: `ScatterND ${reduction} ${JSON.stringify([data, places.dims])}`,
    inputs: {
      x: { dims: data },
      i: places,
      u: { dims: updates, values: positive },
    },
    build: (b, { x, i, u }) => b.op("ScatterND", [x!, i!, u!], { reduction }),
  };
}

function gatherND(data: Dim[], places: InputSpec, batch_dims = 0): Case {
  return {
    name: `GatherND ${JSON.stringify([data, places.dims])} batch_dims ${batch_dims}`,
    inputs: { x: { dims: data }, i: places },
    build: (b, { x, i }) => b.op("GatherND", [x!, i!], { batch_dims }),
  };
}

const cases: Case[] = [
  // Different places, for of several writes to one place the last one wins.
  scatterElements("none", [3, 5], indices([3, 2], [3, 0, 1, -1, 2, 4]), 1),
  scatterElements("none", [4, 3], indices([2, 2], [3, 0, 1, 2]), 0),
  scatterElements("add", ["batch", 4], below(["batch", 3], 4), 1),
  scatterElements("add", [4, 3], indices([3, 2], [1, 0, 1, 3, 1, 0]), -2),
  ...["max", "min"].map((reduction) =>
    scatterElements(reduction, [4, 3], indices([3, 2], [1, 0, 1, 3, 1, 0]), 0),
  ),
  {
    ...scatterElements("mul", [4, 3], indices([3, 2], [1, 0, 1, 3, 1, 0]), 0),
    name: "ScatterElements with fixed factors",
    inputs: {
      x: { dims: [4, 3] },
      i: indices([3, 2], [1, 0, 1, 3, 1, 0]),
      u: { dims: [3, 2], fixed: true },
    },
  },
  scatterElements("mul", [4, 3], indices([3, 2], [1, 0, 1, 3, 1, 0]), 0),
  {
    ...scatterElements("mul", [4, 2], indices([4, 2], [1, 0, 1, 3, 1, 0, 2, 3]), 0),
    name: "ScatterElements with active factors, one or two of them zero",
    inputs: {
      x: { dims: [4, 2] },
      i: indices([4, 2], [1, 0, 1, 3, 1, 0, 2, 3]),
      u: { dims: [4, 2], values: () => [0.7, 0, 0, 1.5, -0.8, 0, 0, 2] },
    },
  },
  scatterND("mul", [2, 3, 2], indices([3, 2], [1, -1, 0, 2, 1, 2]), [3, 2]),
  scatterND("none", [4, 3], indices([2, 1], [3, 1]), [2, 3]),
  scatterND("none", [2, 3, 2], indices([2, 2], [1, -1, 0, 2]), [2, 2]),
  scatterND("none", ["batch", 3], indices([1, 1], [0]), [1, 3]),
  scatterND("add", [4, 3], indices([3, 1], [3, 1, 3]), [3, 3]),
  scatterND("add", [2, 3, 2], indices([2, 2, 3], [1, 2, 0, 1, 2, 0, 0, 0, 0, 1, 2, 1]), [2, 2]),
  scatterND("max", [4, 2], indices([2, 1], [3, 1]), [2, 2]),
  scatterND("min", [4, 2], indices([2, 1], [0, 1]), [2, 2]),
  scatterND("mul", [4, 2], indices([2, 1], [0, 1]), [2, 2]),
  gatherND(["batch", 3, 2], indices([2, 1], [0, 0])),
  gatherND([3, 3, 2], indices([2, 2, 2], [0, 1, -1, 2, 0, 1, 1, 1])),
  gatherND([3, 4], indices([2, 2], [2, 1, 0, 3])),
  gatherND(["batch", 4, 2], below(["batch", 3, 1], 4), 1),
  gatherND([2, 3, 4], below([2, 3, 2, 1], 4), 2),
  {
    name: "GatherElements of fewer rows",
    inputs: { x: { dims: [4, 3] }, i: indices([2, 2], [3, 0, 1, -1]) },
    build: (b, { x, i }) => b.op("GatherElements", [x!, i!], { axis: 0 }),
  },
  ...[
    { axis: -1, largest: 1 },
    { axis: 1, largest: 0 },
    { axis: 1, sorted: 0 },
  ].map((attributes): Case => ({
    name: `TopK ${JSON.stringify(attributes)}`,
    inputs: { x: { dims: ["batch", 4, 3] } },
    build: (b, { x }) => b.ops("TopK", [x!, b.ints([2])], 2, attributes)[0]!,
  })),
  ...[undefined, 1].map((axis): Case => ({
    name: `Compress axis ${axis}`,
    inputs: { x: { dims: ["batch", 4] }, c: { dims: [4], type: "bool", values: () => [0, 1, 0, 1] } },
    build: (b, { x, c }) => b.op("Compress", [b.op("Reshape", [x!, b.ints([-1, 4])]), c!], { axis }),
    batches: [1],
  })),
  {
    name: "OneHot with active values",
    inputs: { i: below(["batch", 2], 4), v: { dims: [2] } },
    build: (b, { i, v }) => b.op("OneHot", [i!, b.int(4), v!], { axis: 1 }),
  },
  {
    name: "ReverseSequence",
    inputs: { x: { dims: [4, 3, 2] }, n: indices([3], [2, 4, 1]) },
    build: (b, { x, n }) => b.op("ReverseSequence", [x!, n!], { batch_axis: 1, time_axis: 0 }),
  },
  {
    name: "MaxUnpool",
    inputs: { x: { dims: [1, 1, 2, 2] }, i: indices([1, 1, 2, 2], [0, 3, 9, 14]) },
    build: (b, { x, i }) => b.op("MaxUnpool", [x!, i!], { kernel_shape: [2, 2], strides: [2, 2] }),
    step: 0.5,
    tolerance: 1e-5,
  },
];

describe("onnx rules: by index", () => {
  for (const spec of cases)
    it(spec.name, () =>
      checkGradient({
        ...spec,
        // Squared, so that a wrong place shows.
        build: (b, inputs, float) => {
          const y = spec.build(b, inputs, float) as string;
          return b.op("Mul", [y, y]);
        },
      }),
    );
});
