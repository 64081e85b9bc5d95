/** Bounds of values by their operators: tight where they say so, never too narrow. */
import assert from "node:assert/strict";
import { loadModel } from "../../lib/index.js";
import {
  Builder,
  DataType,
  emptyGraph,
  encodeModel,
  inputScaling,
  valueBounds,
  type Bounds,
} from "../../lib/onnx/index.js";
import { numbers } from "../support/numbers.js";

type Make = (b: Builder, x: string) => string;

/** The bounds of what `make` makes of x [N, 2, 4, 4], and the least and the largest number of it on wild inputs. */
async function look(make: Make): Promise<{ bounds: Bounds | null; min: number; max: number }> {
  const b = new Builder(emptyGraph("bounds"));
  b.output("y", make(b, b.input("x", DataType.FLOAT, ["batch", 2, 4, 4])));
  const bounds = valueBounds(b.graph, "y");
  using model = await loadModel(encodeModel(b.graph));
  const { y } = await model.run({ data: numbers(1, 64 * 32, -30, 30), shape: [64, 2, 4, 4] });
  return { bounds, min: Math.min(...y!.data), max: Math.max(...y!.data) };
}

const k = (b: Builder, x: string, value: number): string => b.scalar(value, x);
const tanh: Make = (b, x) => b.op("Tanh", [x]);
const sigmoid: Make = (b, x) => b.op("Sigmoid", [x]);

describe("bounds of values", () => {
  const tight: [string, Make, number, number][] = [
    ["tanh", tanh, -1, 1],
    ["sigmoid", sigmoid, 0, 1],
    ["softmax", (b, x) => b.op("Softmax", [x], { axis: 1 }), 0, 1],
    ["softsign", (b, x) => b.op("Softsign", [x]), -1, 1],
    ["clip", (b, x) => b.op("Clip", [x, k(b, x, -2), k(b, x, 5)]), -2, 5],
    [
      "clip above a tanh",
      (b, x) => b.op("Clip", [b.op("Mul", [tanh(b, x), k(b, x, 3)]), k(b, x, 0), k(b, x, 1)]),
      0,
      1,
    ],
    ["a clip that is wider", (b, x) => b.op("Clip", [tanh(b, x), k(b, x, -9), k(b, x, 9)]), -1, 1],
    [
      "a negative scale",
      (b, x) => b.op("Add", [b.op("Mul", [sigmoid(b, x), k(b, x, -2)]), k(b, x, 1)]),
      -1,
      1,
    ],
    ["a constant minus", (b, x) => b.op("Sub", [k(b, x, 1), sigmoid(b, x)]), 0, 1],
    ["a quotient", (b, x) => b.op("Div", [b.op("Add", [tanh(b, x), k(b, x, 1)]), k(b, x, 2)]), 0, 1],
    ["neg", (b, x) => b.op("Neg", [sigmoid(b, x)]), -1, 0],
    ["relu of tanh", (b, x) => b.op("Relu", [tanh(b, x)]), 0, 1],
    ["abs", (b, x) => b.op("Abs", [b.op("Mul", [tanh(b, x), k(b, x, 4)])]), 0, 4],
    ["max and min", (b, x) => b.op("Min", [b.op("Max", [x, k(b, x, 0)]), k(b, x, 255)]), 0, 255],
    ["moves", (b, x) => b.op("Transpose", [b.reshape(tanh(b, x), [-1, 2, 16])], { perm: [0, 2, 1] }), -1, 1],
    [
      "pixels put beside one another",
      (b, x) => b.op("Concat", [tanh(b, x), sigmoid(b, x)], { axis: 1 }),
      -1,
      1,
    ],
    [
      "zeros around",
      (b, x) => b.op("Pad", [b.op("Add", [sigmoid(b, x), k(b, x, 2)]), b.ints([0, 0, 1, 1, 0, 0, 1, 1])]),
      0,
      3,
    ],
    ["means", (b, x) => b.op("AveragePool", [tanh(b, x)], { kernel_shape: [2, 2] }), -1, 1],
    [
      "a scale for each channel",
      (b, x) => b.op("Mul", [tanh(b, x), b.constant([1, 3], [1, 2, 1, 1], DataType.FLOAT)]),
      -3,
      3,
    ],
    [
      "bilinear resizing",
      (b, x) => b.op("Resize", [tanh(b, x), null, null, b.ints([7, 7])], { mode: "linear", axes: [2, 3] }),
      -1,
      1,
    ],
  ];
  for (const [name, make, low, high] of tight)
    it(`are those of ${name}`, async () => {
      const { bounds, min, max } = await look(make);
      assert.ok(bounds?.tight, JSON.stringify(bounds));
      assert.deepEqual([bounds.low + 0, bounds.high + 0], [low, high]);
      assert.ok(min >= low - 1e-5 && max <= high + 1e-5, `${min}, ${max}`);
    });

  for (const [name, make, high] of [
    ["relu alone", (b, x) => b.op("Relu", [x]), Infinity],
    ["a clip on one side", (b, x) => b.op("Clip", [x, k(b, x, 0)]), Infinity],
    ["exp", (b, x) => b.op("Exp", [b.op("Mul", [x, k(b, x, 0.1)])]), Infinity],
  ] as [string, Make, number][])
    it(`have one end for ${name}`, async () => {
      const { bounds, min } = await look(make);
      assert.deepEqual([bounds?.low, bounds?.high], [0, high]);
      assert.ok(min >= 0);
    });

  for (const [name, make] of [
    ["a mix by a mask", (b, x) => b.op("Add", [b.op("Mul", [tanh(b, x), sigmoid(b, x)]), tanh(b, x)])],
    ["that on one side", (b, x) => b.op("Relu", [b.op("Sub", [tanh(b, x), sigmoid(b, x)])])],
  ] as [string, Make][])
    it(`are no promise of being reached: ${name}`, async () => {
      const { bounds, min, max } = await look(make);
      assert.equal(bounds?.tight, false);
      assert.ok(min >= bounds.low - 1e-5 && max <= bounds.high + 1e-5, `${min}, ${max}`);
    });

  const none: [string, Make][] = [
    ["a product", (b, x) => b.op("Mul", [x, k(b, x, 2)])],
    [
      "cubic resizing, which overshoots",
      (b, x) => b.op("Resize", [tanh(b, x), null, null, b.ints([7, 7])], { mode: "cubic", axes: [2, 3] }),
    ],
    [
      "a quotient by what may be 0",
      (b, x) => b.op("Div", [tanh(b, x), b.op("Add", [sigmoid(b, x), k(b, x, -0.5)])]),
    ],
    ["leaky relu", (b, x) => b.op("LeakyRelu", [x])],
    ["an operator of another domain", (b, x) => b.op("Sin", [x])],
  ];
  for (const [name, make] of none)
    it(`are unknown for ${name}`, async () => {
      const b = new Builder(emptyGraph("bounds"));
      b.output("y", make(b, b.input("x", DataType.FLOAT, ["batch", 2, 4, 4])));
      for (const node of b.graph.nodes) if (node.opType === "Sin") node.domain = "own";
      assert.equal(valueBounds(b.graph, "y"), null);
    });

  it("are found in the files of exports: constants as nodes, in old operator sets as attributes", () => {
    const b = new Builder(emptyGraph("old", 9));
    const x = b.input("x", DataType.FLOAT, ["batch", 3]);
    b.output("y", b.op("Clip", [x], { min: -1, max: 1 }));
    assert.deepEqual(valueBounds(b.graph, "y"), { low: -1, high: 1, tight: true, by: "Clip" });
  });
});

describe("what a model does to its input first", () => {
  const scaling = (make: Make) => {
    const b = new Builder(emptyGraph("scaling"));
    b.output("y", make(b, b.input("x", DataType.FLOAT, ["batch", 3, 4, 4])));
    return inputScaling(b.graph, "x");
  };
  const channels = (b: Builder, values: number[]): string => b.constant(values, [1, 3, 1, 1], DataType.FLOAT);

  it("is one scaling, a number a channel", () => {
    const found = scaling((b, x) => {
      const unit = b.op("Div", [b.op("Identity", [x]), k(b, x, 4)]);
      return tanh(b, b.op("Mul", [b.op("Sub", [unit, channels(b, [1, 2, 3])]), channels(b, [2, 1, 0.5])]));
    });
    assert.deepEqual(found, { scale: [0.5, 0.25, 0.125], offset: [-2, -2, -1.5] });
    assert.deepEqual(
      scaling((b, x) => tanh(b, b.op("Sub", [k(b, x, 1), x]))),
      { scale: [-1], offset: [1] },
    );
  });

  it("is open where a normalisation makes the range no matter, and where several read the input", () => {
    const normal = (b: Builder, x: string): string =>
      b.op("MeanVarianceNormalization", [x], { axes: [0, 2, 3] });
    assert.equal(scaling(normal), undefined);
    const twice = (b: Builder, x: string): string => b.op("Add", [b.op("Mul", [x, k(b, x, 2)]), tanh(b, x)]);
    assert.equal(scaling(twice), undefined);
  });

  it("is none where the input goes elsewhere first", () => {
    assert.equal(scaling(tanh), null);
    assert.equal(
      scaling((b, x) => b.op("Div", [k(b, x, 1), x])),
      null,
    );
  });
});
