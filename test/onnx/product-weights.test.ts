/** Which weights are only multiplied with, and how often. */
import assert from "node:assert/strict";
import { native } from "../../lib/native/binding.js";
import {
  Builder,
  DataType,
  differentiateGraph,
  emptyGraph,
  encodeModel,
  productWeights,
  sharedProductBytes,
} from "../../lib/onnx/index.js";
import { simplifyGraph } from "../../lib/model/simplify.js";
import { assertClose } from "../support/operators.js";
import { random, uniform } from "../support/numbers.js";

const [rows, width] = [5, 160];

function graph(build: (b: Builder, x: string, W: string) => string): Builder {
  const b = new Builder(emptyGraph("case"));
  const x = b.input("x", DataType.FLOAT, ["batch", width]);
  const data = Float32Array.from(uniform(random(3), width * width, -0.1, 0.1));
  b.output("y", build(b, x, b.constant(data, [width, width], DataType.FLOAT)));
  return b;
}

const vector = (b: Builder, low: number): string =>
  b.constant(Float32Array.from(uniform(random(4), width, low, 1)), [width], DataType.FLOAT);
const turned = (b: Builder, W: string): string => b.op("Transpose", [W], { perm: [1, 0] });

describe("onnx: weights of products", () => {
  const layer = (b: Builder, x: string, W: string): string => b.op("MatMul", [x, turned(b, W)]);
  const cases: [string, (b: Builder, x: string, W: string) => string, number][] = [
    ["a right operand", (b, x, W) => b.op("MatMul", [x, W]), 1],
    ["a transposed right operand", layer, 1],
    ["a Gemm's", (b, x, W) => b.op("Gemm", [x, W, vector(b, 0)], { transB: 1 }), 1],
    ["two products'", (b, x, W) => b.op("MatMul", [layer(b, x, W), W]), 1],
    ["a left operand", (b, x, W) => b.op("MatMul", [W, turned(b, x)]), 0],
    ["both operands", (b, x, W) => b.op("MatMul", [x, b.op("MatMul", [W, W])]), 0],
    ["scaled on the way", (b, x, W) => b.op("MatMul", [x, b.op("Mul", [W, b.scalar(2, W)])]), 0],
    [
      "a product that is normalised",
      (b, x, W) => {
        const [scale, shift, mean, variance] = [0.2, 0.3, 0.4, 0.5].map((low) => vector(b, low));
        return b.op("BatchNormalization", [b.op("MatMul", [x, W]), scale!, shift!, mean!, variance!]);
      },
      0,
    ],
  ];
  for (const [name, build, count] of cases)
    it(`${name}: ${count === 1 ? "is one" : "is none"}`, () => {
      assert.equal(productWeights(graph(build).graph).length, count);
    });

  it("a small matrix and a graph output are none", () => {
    const b = graph((b, x, W) => {
      b.graph.outputs.push({ name: W, elemType: DataType.FLOAT, dims: [width, width] });
      return b.op("MatMul", [
        b.op("MatMul", [x, W]),
        b.constant(new Float32Array(width), [width, 1], DataType.FLOAT),
      ]);
    });
    assert.deepEqual(productWeights(b.graph), []);
  });

  it("the optimiser does not see them, and they are the same bytes afterwards", async () => {
    const before = graph(layer).graph;
    const [name] = productWeights(before);
    const { graph: after, kept } = await simplifyGraph(before, "case");
    assert.equal(kept, null);
    assert.equal(after.initializers.get(name!), before.initializers.get(name!));
    assert.deepEqual(
      after.inputs.map((input) => input.name),
      ["x"],
    );
  });

  it("a gradient reads them a second time, in whichever layout, packed or not", async () => {
    const given = graph(layer).graph;
    assert.equal(sharedProductBytes(given), 0);
    const gradient = differentiateGraph(given, { seed: "ones" });
    assert.equal(sharedProductBytes(gradient), width * width * 4);
    const x = { data: Float32Array.from(uniform(random(6), rows * width)), shape: [rows, width] };
    const bytes = encodeModel(gradient);
    const results = [];
    for (const packWeights of [true, false]) {
      const session = await native().openSession(bytes, { packWeights }).promise;
      results.push(await session.run({ x }).promise);
      session.dispose();
    }
    for (const name of ["y", "grad_x"])
      assertClose(
        results[1]![name]!.data as Float32Array,
        results[0]![name]!.data as Float32Array,
        1e-6,
        name,
      );
  });
});
