import assert from "node:assert/strict";
import { ArgumentError } from "../../lib/base/errors.js";
import {
  Builder,
  compose,
  DataType,
  decodeModel,
  emptyGraph,
  encodeModel,
  type Dim,
  type Graph,
} from "../../lib/onnx/index.js";
import { runGraph } from "../support/operators.js";

/** y = x · factor + x · factor, with names that collide between any two of these. */
function scale(factor: number, dims: Dim[], elemType: number = DataType.FLOAT, opset = 18): Graph {
  const b = new Builder(emptyGraph("scale", opset));
  const x = b.input("x", elemType, dims);
  const scaled = b.op("Mul", [x, b.constant([factor], [], elemType)]);
  b.output("y", b.op("Add", [scaled, scaled]));
  return b.graph;
}

/** y = a + c */
function add(a: Dim[], c: Dim[]): Graph {
  const b = new Builder(emptyGraph("add"));
  const [p, q] = [b.input("a", DataType.FLOAT, a), b.input("c", DataType.FLOAT, c)];
  b.output("y", b.op("Add", [p, q]));
  return b.graph;
}

const x = { dims: [2, 3], data: [1, 2, 3, 4, 5, 6] };

describe("onnx: composing graphs", () => {
  it("computes second(first(x)), whatever the names inside", async () => {
    const joined = compose(compose(scale(2, ["n", 3]), scale(3, ["n", 3]), { x: "y" }), scale(5, ["n", 3]), {
      x: "y",
    });
    const { y } = await runGraph(decodeModel(encodeModel(joined)), { x });
    assert.deepEqual(
      [...y!.data],
      x.data.map((v) => v * 240),
    );
    assert.deepEqual(
      joined.inputs.map((input) => input.name),
      ["x"],
    );
    assert.deepEqual(
      joined.outputs.map((output) => output.name),
      ["y"],
    );
  });

  it("keeps the first graph's outputs that are asked for, and inputs that are not connected", async () => {
    const joined = compose(
      scale(2, ["n", 3]),
      add(["m", 3], [3]),
      { a: "y" },
      { keepOutputs: ["y"], prefix: "sum/" },
    );
    assert.deepEqual(
      joined.inputs.map((input) => input.name),
      ["x", "c"],
    );
    assert.deepEqual(
      joined.outputs.map((output) => output.name),
      ["y", "sum/y"],
    );
    const result = await runGraph(joined, { x, c: { dims: [3], data: [10, 20, 30] } });
    assert.deepEqual([...result.y!.data], [4, 8, 12, 16, 20, 24]);
    assert.deepEqual([...result["sum/y"]!.data], [14, 28, 42, 26, 40, 54]);
  });

  it("one output may feed several inputs, and a second graph may hand an input through", async () => {
    const twice = compose(scale(1, ["n", 3]), add(["n", 3], ["n", 3]), { a: "y", c: "y" });
    assert.deepEqual(
      [...(await runGraph(twice, { x })).y!.data],
      x.data.map((v) => v * 4),
    );
    const b = new Builder(emptyGraph("through"));
    const v = b.input("v", DataType.FLOAT, ["n", 3]);
    b.graph.outputs.push({ name: v, elemType: DataType.FLOAT, dims: ["n", 3] });
    const through = compose(scale(1, ["n", 3]), b.graph, { v: "y" });
    assert.deepEqual(
      through.outputs.map((output) => output.name),
      ["v"],
    );
    assert.deepEqual(
      [...(await runGraph(through, { x })).v!.data],
      x.data.map((w) => w * 2),
    );
  });

  it("a fixed size wins over a symbol, on the inputs too", () => {
    const down = compose(scale(2, ["batch", "width"]), scale(3, ["n", 3]), { x: "y" });
    assert.deepEqual(down.inputs[0]!.dims, ["batch", 3]);
    assert.deepEqual(down.outputs[0]!.dims, ["batch", 3]);
    const up = compose(scale(2, [4, 3]), add(["rows", 3], ["rows", 1]), { a: "y" });
    assert.deepEqual(up.inputs.find((input) => input.name === "c")!.dims, [4, 1]);
  });

  it("equal symbols with different meanings stay apart", () => {
    const joined = compose(scale(2, ["n", "k"]), add(["k", "n"], ["k", "other"]), { a: "y" });
    assert.deepEqual(
      joined.inputs.map((input) => input.dims),
      [
        ["n", "k"],
        ["n", "other"],
      ],
    );
    const apart = compose(scale(2, ["n", 3]), add(["m", 3], ["n", "m", 3]), { a: "y" });
    assert.deepEqual(apart.inputs[1]!.dims, ["second/n", "n", 3]);
  });

  it("brings both to the newer operator set", async () => {
    const joined = compose(scale(2, ["n", 3], DataType.FLOAT, 11), scale(3, ["n", 3], DataType.FLOAT, 21), {
      x: "y",
    });
    assert.equal(joined.opsets.get(""), 21);
    assert.equal(joined.irVersion, 10);
    assert.deepEqual(
      [...(await runGraph(joined, { x })).y!.data],
      x.data.map((v) => v * 24),
    );
  });

  it("refuses what does not fit, naming both sides", () => {
    const mismatch = (first: Graph, second: Graph, pattern: RegExp): void =>
      assert.throws(
        () => compose(first, second, { x: "y" }),
        (error: unknown) =>
          error instanceof ArgumentError &&
          error.code === "ERR_SHAPE_MISMATCH" &&
          pattern.test(error.message),
      );
    mismatch(
      scale(1, ["n", 3]),
      scale(1, ["n", 4]),
      /"y" \(float32 \[n, 3\]\) does not fit input "x" \(float32 \[n, 4\]\)/,
    );
    mismatch(scale(1, ["n", 3]), scale(1, ["n", 3, 1]), /\[n, 3, 1\]/);
    mismatch(scale(1, ["n", 3]), scale(1, ["n", 3], DataType.DOUBLE), /float64/);
    mismatch(scale(1, [2, 3]), scale(1, ["s", "s"]), /\[s, s\]/);
    for (const connections of [{ nope: "y" }, { x: "nope" }] as unknown as Record<string, string>[])
      assert.throws(
        () => compose(scale(1, [2]), scale(1, [2]), connections),
        /expected names among .*got "nope"/,
      );
    assert.throws(
      () => compose(scale(1, [2]), scale(1, [2]), { x: "y" }, { keepOutputs: ["z"] }),
      ArgumentError,
    );
  });

  it("leaves the graphs it was given as they were", () => {
    const [first, second] = [scale(2, ["n", 3]), scale(3, ["m", 3])];
    const before = [encodeModel(first), encodeModel(second)];
    compose(first, second, { x: "y" });
    assert.deepEqual([encodeModel(first), encodeModel(second)], before);
  });
});
