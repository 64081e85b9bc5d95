import type { AttributeValue } from "../../lib/onnx/attributes.js";
import type { Builder, Dim } from "../../lib/onnx/index.js";
import { checkGradient, type Case } from "../support/operators.js";
import { uniform } from "../support/numbers.js";

type Attributes = Record<string, AttributeValue>;
type Values = Record<string, string>;

/** One input called x; the output is squared, so that a wrong position shows. */
function move(
  name: string,
  dims: Dim[],
  build: (b: Builder, x: string, all: Values) => string,
  more: Partial<Case> = {},
): Case {
  return { name, inputs: { x: { dims } }, build: (b, all) => build(b, all.x!, all), ...more };
}

/** An int64 input whose value is known only when the model runs. */
const integers = (...values: number[]) => ({
  dims: [values.length],
  type: "int64" as const,
  values: () => values,
});

function slice(
  dims: Dim[],
  starts: number[],
  ends: (number | bigint)[],
  axes?: number[],
  steps?: number[],
): Case {
  return move(`Slice ${JSON.stringify([dims, starts, ends.map(String), axes, steps])}`, dims, (b, x) =>
    b.op("Slice", [
      x,
      b.ints(starts),
      b.ints(ends),
      axes ? b.ints(axes) : null,
      steps ? b.ints(steps) : null,
    ]),
  );
}

function pad(dims: Dim[], pads: number[], attributes: Attributes = {}, axes?: number[]): Case {
  return move(
    `Pad ${JSON.stringify([dims, pads, attributes, axes])}`,
    dims,
    (b, x) => b.op("Pad", [x, b.ints(pads), null, axes ? b.ints(axes) : null], attributes),
    { opset: attributes.mode === "wrap" ? 19 : 18 },
  );
}

function gather(dims: Dim[], axis: number, shape: number[], indices: number[], dynamic = false): Case {
  return move(
    `Gather ${JSON.stringify([dims, axis, shape, indices])}${dynamic ? " at run time" : ""}`,
    dims,
    (b, x, all) => b.op("Gather", [x, dynamic ? all.i! : b.constant(indices, shape, 7)], { axis }),
    dynamic ? { inputs: { x: { dims }, i: { dims: shape, type: "int64", values: () => indices } } } : {},
  );
}

const cases: Case[] = [
  move("Reshape with a free batch", ["batch", 4, 3], (b, x) => b.op("Reshape", [x, b.ints([-1, 6])])),
  move("Reshape with zeros that copy", ["batch", 4, 3], (b, x) => b.op("Reshape", [x, b.ints([0, 0, 3, 1])])),
  move("Reshape to a shape made at run time", ["batch", 4, 3], (b, x) =>
    b.op("Reshape", [x, b.op("Concat", [b.sizes(x, [0]), b.ints([2, -1])], { axis: 0 })]),
  ),
  move("Reshape with two free sizes", ["batch", "n", 2], (b, x) => b.op("Reshape", [x, b.ints([-1])])),
  move("Flatten", ["batch", 2, 3, 2], (b, x) => b.op("Flatten", [x])),
  move("Flatten at axis 0", ["batch", 2, 3], (b, x) => b.op("Flatten", [x], { axis: 0 })),
  move("Flatten at axis −1", ["batch", 2, 3], (b, x) => b.op("Flatten", [x], { axis: -1 })),
  move("Squeeze", ["batch", 1, 3, 1], (b, x) => b.op("Squeeze", [x, b.ints([1, -1])])),
  move("Squeeze without axes", [2, 1, 3, 1], (b, x) => b.op("Squeeze", [x])),
  move("Unsqueeze", ["batch", 3], (b, x) => b.op("Unsqueeze", [x, b.ints([0, -1])])),
  move("Transpose", ["batch", 2, 3, 4], (b, x) => b.op("Transpose", [x], { perm: [2, 0, 3, 1] })),
  move("Transpose by default", ["batch", 2, 3], (b, x) => b.op("Transpose", [x])),
  move("Expand", ["batch", 1, 3], (b, x) => b.op("Expand", [x, b.ints([2, 1, 4, 1])])),
  move("Expand by a shape made at run time", [1, 3], (b, x, all) => b.op("Expand", [x, all.shape!]), {
    inputs: { x: { dims: [1, 3] }, shape: integers(2, 4, 3) },
  }),
  move("Expand that keeps a free size", ["batch", 3], (b, x, all) => b.op("Expand", [x, all.shape!]), {
    inputs: { x: { dims: ["batch", 3] }, shape: integers(3, 3) },
  }),
  move("Tile", ["batch", 3], (b, x) => b.op("Tile", [x, b.ints([2, 3])])),
  move("Tile with two free sizes", ["batch", "n", 2], (b, x) => b.op("Tile", [x, b.ints([1, 2, 3])])),
  move("Tile at run time", ["batch", 3], (b, x, all) => b.op("Tile", [x, all.r!]), {
    inputs: { x: { dims: ["batch", 3] }, r: integers(2, 1) },
  }),
  {
    name: "Concat",
    inputs: {
      x: { dims: ["batch", 2, 3] },
      z: { dims: ["batch", 4, 3] },
      k: { dims: ["batch", 1, 3], fixed: true },
    },
    build: (b, { x, z, k }) => b.op("Concat", [x!, k!, z!, x!], { axis: -2 }),
  },
  {
    name: "Concat of free sizes",
    inputs: { x: { dims: ["batch", 3] }, z: { dims: ["rows", 3] }, w: { dims: [2, 3] } },
    build: (b, { x, z, w }) => b.op("Concat", [x!, z!, w!], { axis: 0 }),
  },
  {
    name: "Split by sizes, one part unused",
    inputs: { x: { dims: ["batch", 6] } },
    build: (b, { x }) => {
      const parts = b.ops("Split", [x!, b.ints([1, 3, 2])], 3, { axis: 1 });
      return [b.op("Mul", [parts[0]!, parts[0]!]), b.op("Exp", [parts[2]!])];
    },
  },
  {
    name: "Split into equal parts",
    inputs: { x: { dims: ["batch", 5] } },
    build: (b, { x }) => b.ops("Split", [x!], 2, { axis: -1, num_outputs: 2 }),
  },
  slice(["batch", 6], [1], [4], [1]),
  slice(["batch", 6, 5], [1, -3], [2n ** 62n, -1], [1, 2]),
  slice(["batch", 7], [0], [7], [1], [2]),
  slice(["batch", 7, 4], [1, 1], [6, 4], [1, -1], [3, 2]),
  slice(["batch", 6], [-1], [-(2n ** 62n)], [1], [-1]),
  slice(["batch", 8, 2], [6], [0], [1], [-2]),
  slice([5, 4], [1, 0], [3, 3]),
  slice([5, 4], [3], [3], [0]),
  slice(["batch", "n", 6], [1], [6], [2], [2]),
  slice(["batch", 3], [0], [1], [0]),
  move(
    "Slice with bounds made at run time",
    ["batch", 5],
    (b, x, all) => b.op("Slice", [x, all.s!, all.e!, b.ints([1])]),
    {
      inputs: { x: { dims: ["batch", 5] }, s: integers(1), e: integers(-1) },
    },
  ),
  gather(["batch", 5, 2], 1, [], [3]),
  gather(["batch", 5, 2], 1, [1], [-2]),
  gather(["batch", 1, 2], 1, [], [0]),
  gather(["batch", 5], 1, [4], [0, 3, 3, -1]),
  gather(["batch", 4, 3], 2, [2, 2], [0, 1, 1, 2]),
  gather(["batch", 4, 3], 1, [2, 2], [0, 1, 1, -4]),
  gather([5, 3], 0, [2, 3], [0, 1, 1, 4, 1, 2]),
  gather([5, 3], 0, [3], [4, 4, 0], true),
  gather(["batch", 4, 3], 1, [1, 2], [2, 2], true),
  gather(["batch", 3], 0, [2], [0, 0]),
  {
    name: "GatherElements with repeated indices",
    inputs: {
      x: { dims: ["batch", 4] },
      i: { dims: ["batch", 3], type: "int64", values: (n, c) => uniform(n, c, 0, 4).map(Math.floor) },
    },
    build: (b, { x, i }) => b.op("GatherElements", [x!, i!], { axis: 1 }),
  },
  pad(["batch", 2, 3, 3], [0, 0, 1, 2, 0, 0, 0, 1]),
  pad(["batch", 2, 5, 4], [0, 0, -1, 2, 0, 1, -2, -1]),
  pad(["batch", 5], [2, -1], {}, [1]),
  pad(["batch", 2, 4, 3], [0, 0, 2, 1, 0, 0, 3, 2], { mode: "reflect" }),
  pad(["batch", 2, 4, 3], [0, 1, 2, 1, 0, 0, 3, 2], { mode: "edge" }),
  pad(["batch", 4, 3], [0, 2, 0, 0, 1, 2], { mode: "wrap" }),
  {
    name: "Pad with an active value",
    inputs: { x: { dims: ["batch", 3] }, v: { dims: [] } },
    build: (b, { x, v }) => b.op("Pad", [x!, b.ints([0, -1, 0, 2]), v!]),
  },
  move("Pad by pads made at run time", ["batch", 3], (b, x, all) => b.op("Pad", [x, all.p!]), {
    inputs: { x: { dims: ["batch", 3] }, p: integers(0, 1, 0, 2) },
  }),
  move("DepthToSpace DCR", ["batch", 8, 2, 3], (b, x) => b.op("DepthToSpace", [x], { blocksize: 2 })),
  move("DepthToSpace CRD", ["batch", 12, 2, 1], (b, x) =>
    b.op("DepthToSpace", [x], { blocksize: 2, mode: "CRD" }),
  ),
  move("SpaceToDepth", ["batch", 2, 4, 6], (b, x) => b.op("SpaceToDepth", [x], { blocksize: 2 })),
];

describe("onnx rules: moving data", () => {
  for (const spec of cases)
    it(spec.name, () =>
      checkGradient({
        ...spec,
        build: (b, inputs, float) => {
          const made = spec.build(b, inputs, float);
          return (Array.isArray(made) ? made : [made]).map((y) => b.op("Mul", [y, y]));
        },
      }),
    );
});
