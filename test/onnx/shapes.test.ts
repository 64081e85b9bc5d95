import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import {
  Builder,
  DataType,
  decodeModel,
  emptyGraph,
  encodeModel,
  inferShapes,
  upgradeGraph,
  type Dim,
} from "../../lib/onnx/index.js";
import { divide, multiply } from "../../lib/onnx/shapes/dims.js";
import { runGraph, unpack, type Expected } from "../support/operators.js";

function builder(dims: Dim[]): { b: Builder; x: string } {
  const b = new Builder(emptyGraph("shapes"));
  return { b, x: b.input("x", DataType.FLOAT, dims) };
}

describe("onnx: shapes", () => {
  it("products of symbols are canonical, and divide back", () => {
    assert.equal(multiply("n", 4), "4*n");
    assert.equal(multiply(multiply("n", 2), multiply("b", 2)), "4*b*n");
    assert.equal(divide("4*b*n", "2*n"), "2*b");
    assert.equal(divide("4*n", "n"), 4);
    assert.equal(divide("3*n", 2), null);
    assert.equal(divide("n", "m"), null);
    assert.equal(multiply(null, 3), null);
    assert.equal(multiply(2 ** 40, 2 ** 40), null);
  });

  it("shape arithmetic keeps the symbolic batch", () => {
    const { b, x } = builder(["batch", 3, 8, 8]);
    const flat = b.op("Reshape", [
      x,
      b.op("Concat", [b.op("Gather", [b.op("Shape", [x]), b.ints([0])]), b.ints([-1])], { axis: 0 }),
    ]);
    assert.deepEqual(b.shapes.dims(flat), ["batch", 192]);
    const heads = b.op("Reshape", [flat, b.ints([0, 4, -1])]);
    assert.deepEqual(b.shapes.dims(heads), ["batch", 4, 48]);
    assert.deepEqual(b.shapes.dims(b.op("Transpose", [heads], { perm: [2, 0, 1] })), [48, "batch", 4]);
    assert.deepEqual(b.shapes.dims(b.op("Reshape", [x, b.ints([-1, 8])])), ["24*batch", 8]);
    const grown = b.op("Slice", [b.op("Shape", [x]), b.ints([2]), b.ints([4])]);
    const doubled = b.op("Mul", [grown, b.ints([2, 2])]);
    assert.deepEqual(b.shapes.numbers(doubled), [16, 16]);
    const sizes = b.op("Concat", [b.op("Slice", [b.op("Shape", [x]), b.ints([0]), b.ints([2])]), doubled], {
      axis: 0,
    });
    assert.deepEqual(b.shapes.dims(b.op("Resize", [x, null, null, sizes], { mode: "linear" })), [
      "batch",
      3,
      16,
      16,
    ]);
  });

  it("two tensors of the same run-time size are known to be equal, others are not", () => {
    const { b, x } = builder(["batch", 1, "h", "w"]);
    const w = b.constant(new Float32Array(9), [1, 1, 3, 3], DataType.FLOAT);
    const down = (): string => b.op("Conv", [x, w], { strides: [2, 2], pads: [1, 1, 1, 1] });
    assert.deepEqual(b.shapes.dims(down()), b.shapes.dims(b.op("Relu", [down()])));
    const same = b.op("Conv", [x, w], { pads: [1, 1, 1, 1] });
    assert.deepEqual(b.shapes.dims(same), ["batch", 1, "h", "w"]);
    assert.notEqual(b.shapes.dims(down())![2], b.shapes.dims(same)![2]);
    const sum = b.shapes.dims(b.op("Add", [x, b.op("Transpose", [x], { perm: [0, 1, 3, 2] })]))!;
    assert.ok(!["h", "w"].includes(String(sum[2])), "a broadcast of two symbols is neither of them");
  });

  it("a branch chosen by a known condition is the value, an unknown entry stays unknown", () => {
    const { b, x } = builder(["batch", 3]);
    const shape = b.op("Shape", [x]);
    const test = b.op("Equal", [b.ints([-1, 7]), b.ints([-1, -1])]);
    assert.deepEqual(b.shapes.value(b.op("Where", [test, shape, b.ints([5, 6])]))!.data, ["batch", 6]);
    const less = b.op("Sub", [shape, b.ints([1, 1])]);
    assert.deepEqual(b.shapes.value(less)!.data, [null, 2]);
    assert.deepEqual(b.shapes.value(b.op("Where", [test, less, b.ints([5, 6])]))!.data, [null, 6]);
  });

  it("hostile shapes stay bounded", () => {
    const { b, x } = builder(["n", 2]);
    let shape = b.op("Shape", [x]);
    for (let i = 0; i < 40; i++) shape = b.op("Mul", [shape, shape]);
    assert.deepEqual(b.shapes.value(shape)!.data[0], null);
    for (let i = 0; i < 40; i++) shape = b.op("Concat", [shape, shape], { axis: 0 });
    assert.equal(b.shapes.value(shape), null);
    const huge = b.op("ConstantOfShape", [b.ints([2 ** 40, 2 ** 40])]);
    assert.deepEqual(b.shapes.dims(huge), [2 ** 40, 2 ** 40]);
    assert.equal(b.shapes.value(huge), null);
    assert.deepEqual(b.shapes.dims(b.op("Tile", [huge, b.ints([2 ** 40, 1])]))!.at(-1), 2 ** 40);
    b.op("Range", [b.int(0), b.int(2n ** 60n), b.int(1)]);
  });

  // Every value of the PyTorch fixtures becomes an output: what was inferred must be what ONNX Runtime computes.
  const folder = new URL("../fixtures/onnx/", import.meta.url);
  const { cases } = JSON.parse(readFileSync(new URL("expected.json", folder), "utf8")) as {
    cases: Record<string, Expected>;
  };
  for (const [name, expected] of Object.entries(cases))
    it(`${name}: inferred shapes and constants are what runs`, async () => {
      const graph = upgradeGraph(decodeModel(readFileSync(new URL(`${name}.onnx`, folder))));
      const shapes = inferShapes(graph);
      const values = graph.nodes
        .flatMap((node) => node.outputs)
        .filter((value) => shapes.elemType(value) !== DataType.BOOL);
      graph.outputs = values.map((value) => ({ name: value, elemType: shapes.elemType(value), dims: null }));
      graph.valueInfos.clear();
      const feeds = Object.fromEntries(
        Object.entries(expected.inputs).map(([key, value]) => [key, unpack(value)]),
      );
      const result = await runGraph(encodeModel(graph), feeds);
      const symbols = new Map<string, number>();
      let known = 0;
      for (const value of values) {
        const actual = result[value]!;
        const dims = shapes.dims(value);
        if (dims) known++;
        assert.equal(dims?.length ?? actual.dims.length, actual.dims.length, `rank of ${value}`);
        dims?.forEach((dim, axis) => {
          const size = actual.dims[axis]!;
          if (typeof dim === "number") assert.equal(size, dim, `${value} axis ${axis}`);
          else if (dim !== null) {
            assert.equal(symbols.get(dim) ?? size, size, `${value} axis ${axis}: "${dim}" has two sizes`);
            symbols.set(dim, size);
          }
        });
        shapes.value(value)?.data.forEach((entry, i) => {
          if (typeof entry === "number") assert.equal(actual.data[i], entry, `${value} entry ${i}`);
        });
      }
      assert.ok(known >= 0.9 * values.length, `${known} of ${values.length} ranks are known`);
    });
});
