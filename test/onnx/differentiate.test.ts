import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { ArgumentError, ModelError } from "../../lib/base/errors.js";
import {
  Builder,
  DataType,
  decodeModel,
  differentiate,
  differentiateGraph,
  emptyGraph,
  encodeModel,
  gradientObstacles,
  randomNodes,
  type Graph,
} from "../../lib/onnx/index.js";
import { assertClose, runGraph } from "../support/operators.js";

const fixture = (name: string): Uint8Array =>
  readFileSync(new URL(`../fixtures/onnx/${name}.onnx`, import.meta.url));

function build(make: (b: Builder) => void): Graph {
  const b = new Builder(emptyGraph("test"));
  make(b);
  return b.graph;
}

/** y = Σᵢ (x w)ᵢ², z = x + s, and k depends on nothing but w. */
function several(): Graph {
  return build((b) => {
    const x = b.input("x", DataType.FLOAT, ["batch", 2]);
    const w = b.input("w", DataType.FLOAT, [2]);
    const s = b.input("s", DataType.FLOAT, [1]);
    b.input("i", DataType.INT64, [1]);
    b.output("y", b.sum(b.op("Mul", [b.op("Mul", [x, w]), b.op("Mul", [x, w])]), [1], false));
    b.output("z", b.op("Add", [x, s]));
    b.output("k", b.op("Shape", [x]));
  });
}

const x = { dims: [2, 2], data: [1, 2, 3, 4] };
const w = { dims: [2], data: [10, 1] };
const s = { dims: [1], data: [5] };

describe("onnx: differentiating a graph", () => {
  it("adds a seed per output and a gradient per input, in order", () => {
    const graph = decodeModel(differentiate(encodeModel(several())));
    assert.deepEqual(
      graph.inputs.map((v) => v.name),
      ["x", "w", "s", "i", "grad_y", "grad_z"],
    );
    assert.deepEqual(
      graph.outputs.map((v) => v.name),
      ["y", "z", "k", "grad_x", "grad_w", "grad_s"],
    );
    assert.deepEqual(graph.inputs.find((v) => v.name === "grad_z")!.dims, ["batch", 2]);
    assert.deepEqual(graph.outputs.find((v) => v.name === "grad_x")!.dims, ["batch", 2]);
    assert.deepEqual(graph.outputs.find((v) => v.name === "grad_w")!.dims, [2]);
  });

  it("sums over outputs, and over everything that was broadcast", async () => {
    const result = await runGraph(differentiateGraph(several()), {
      x,
      w,
      s,
      i: { dims: [1], data: [0], type: "int64" },
      grad_y: { dims: [2], data: [1, 2] },
      grad_z: { dims: [2, 2], data: [1, 1, 1, 1] },
    });
    assert.deepEqual([...result.grad_x!.data], [201, 5, 1201, 17]);
    assert.deepEqual([...result.grad_w!.data], [20 + 360, 8 + 64]);
    assert.deepEqual([...result.grad_s!.data], [4]);
  });

  it("only what was asked for", async () => {
    const graph = differentiateGraph(several(), {
      wrt: ["s", "w"],
      outputs: ["y"],
      seed: "ones",
      keepOutputs: false,
    });
    assert.deepEqual(
      graph.inputs.map((v) => v.name),
      ["x", "w", "s", "i"],
    );
    assert.deepEqual(
      graph.outputs.map((v) => v.name),
      ["grad_s", "grad_w"],
    );
    const result = await runGraph(graph, { x, w, s, i: { dims: [1], data: [0], type: "int64" } });
    assert.deepEqual([...result.grad_s!.data], [0], "y does not depend on s");
    assert.deepEqual([...result.grad_w!.data], [200, 40]);
  });

  it("an output that is an input, and one used twice", async () => {
    const graph = build((b) => {
      const v = b.input("v", DataType.FLOAT, [2]);
      b.graph.outputs.push({ name: v, elemType: DataType.FLOAT, dims: [2] });
      b.output("twice", b.op("Add", [v, v]));
    });
    const v = { dims: [2], data: [1, 2] };
    const ones = differentiateGraph(graph, { seed: "ones" });
    assert.deepEqual([...(await runGraph(ones, { v })).grad_v!.data], [3, 3]);
    // As an input the seed of v and the gradient of v would both be called grad_v.
    assert.throws(() => differentiateGraph(graph), /two values called "grad_v"/);
  });

  it("frozen weights cost nothing: no node of the backward pass is larger than its forward one", () => {
    const graph = differentiateGraph(decodeModel(fixture("conv_bn_pool")), { wrt: ["x"] });
    const gradient = graph.nodes.filter((node) => /^(grad|fast)\//.test(node.name));
    const count = (opType: string): number => gradient.filter((node) => node.opType === opType).length;
    // Three convolutions and an overlapping average backwards; nothing for weights, statistics or biases.
    assert.equal(count("Conv") + count("ConvTranspose"), 3 + 1);
    assert.equal(count("ReduceSum") + count("MatMul"), 1, "only the sum of LogSoftmax");
  });

  it("the gradient of a gradient", async () => {
    const cube = build((b) => {
      const v = b.input("v", DataType.DOUBLE, ["n"]);
      b.output("y", b.op("Mul", [b.op("Mul", [v, v]), v]));
    });
    const first = differentiateGraph(cube, { seed: "ones", keepOutputs: false });
    const second = differentiateGraph(first, { seed: "ones", keepOutputs: false });
    const result = await runGraph(second, { v: { dims: [3], data: [1, -2, 0.5], type: "float64" } });
    assertClose(result.grad_v!.data, [6, -12, 3], 1e-12, "6 v");
  });

  it("the norm of a zero vector has the gradient 0, in every spelling", async () => {
    const spellings: ((b: Builder, v: string) => string)[] = [
      (b, v) => b.op("ReduceL2", [v, b.ints([1])]),
      (b, v) => b.op("Sqrt", [b.sum(b.op("Mul", [v, v]), [1], true)]),
      (b, v) => b.op("Sqrt", [b.op("ReduceSumSquare", [v, b.ints([1])])]),
      (b, v) => {
        const square = b.op("Pow", [b.op("Abs", [v]), b.scalar(2, v)]);
        return b.op("Pow", [b.sum(square, [1], true), b.scalar(0.5, v)]);
      },
      (b, v) => b.op("Pow", [b.sum(b.op("Mul", [v, v]), [1], true), b.input("half", DataType.FLOAT, [])]),
    ];
    for (const spelling of spellings) {
      const graph = build((b) => b.output("y", spelling(b, b.input("v", DataType.FLOAT, ["n", 2]))));
      const feeds = { v: { dims: [2, 2], data: [0, 0, 3, 4] }, half: { dims: [], data: [0.5] } };
      const result = await runGraph(differentiateGraph(graph, { wrt: ["v"], seed: "ones" }), feeds);
      assertClose(result.grad_v!.data, [0, 0, 0.6, 0.8], 1e-6, "v / ‖v‖");
    }
  });

  it("an operator without a rule is an error only where an adjoint reaches it", async () => {
    const graph = build((b) => {
      const v = b.input("v", DataType.FLOAT, ["n", 4]);
      b.output("y", b.op("Exp", [v]));
      b.output("best", b.ops("TopK", [v, b.ints([1])], 2)[0]!);
      const det = b.op("MaxRoiPool", [b.op("Reshape", [v, b.ints([-1, 2, 2])])]);
      b.graph.nodes.at(-1)!.name = "volume";
      b.output("det", det);
      b.graph.outputs.at(-1)!.elemType = DataType.FLOAT;
    });
    differentiateGraph(graph, { outputs: ["y"] });
    assert.throws(
      () => differentiateGraph(graph, { outputs: ["y", "det"] }),
      (error: unknown) =>
        error instanceof ModelError &&
        error.code === "ERR_NO_GRADIENT" &&
        /MaxRoiPool node "volume" \(opset 18\).*"Reshape:0".*tr0n has no rule.*wrt and outputs/.test(
          error.message,
        ),
    );
    assert.ok(gradientObstacles(graph).some((entry) => entry.opType === "MaxRoiPool"));
    assert.deepEqual(gradientObstacles(graph, { outputs: ["y"] }), []);
  });

  it("names that do not exist, are no floats, or collide", () => {
    const bytes = encodeModel(several());
    const refuse = (options: unknown, pattern: RegExp): void =>
      assert.throws(
        () => differentiate(bytes, options as { wrt?: string[] }),
        (error: unknown) => error instanceof ArgumentError && pattern.test(error.message),
      );
    refuse({ wrt: ["q"] }, /wrt: .*inputs \(x, w, s\), got "q"/);
    refuse({ wrt: ["i"] }, /got "i"/);
    refuse({ outputs: ["k"] }, /outputs: .*\(y, z\), got "k"/);
    refuse({ wrt: "x" }, /wrt: expected an array of names/);
    const clash = several();
    clash.inputs[2]!.name = "grad_y";
    clash.nodes.forEach(
      (node) => (node.inputs = node.inputs.map((name) => (name === "s" ? "grad_y" : name))),
    );
    assert.throws(() => differentiateGraph(clash), /two values called "grad_y"/);
  });

  it("inner values make room for the promised names", async () => {
    const graph = build((b) => {
      const v = b.input("v", DataType.FLOAT, [2]);
      b.output("y", b.op("Exp", [v]));
    });
    graph.nodes[0]!.outputs[0] = "grad_v";
    graph.nodes[1]!.inputs[0] = "grad_v";
    const result = await runGraph(differentiateGraph(graph, { seed: "ones" }), {
      v: { dims: [2], data: [0, 1] },
    });
    assertClose(result.grad_v!.data, [1, Math.E], 1e-6, "exp");
  });

  it("the graph it was given is left as it was", () => {
    for (const name of ["conv_bn_pool", "attention_17", "glue"]) {
      const graph = decodeModel(fixture(name));
      const before = encodeModel(graph);
      differentiateGraph(graph);
      assert.deepEqual(encodeModel(graph), before);
    }
  });

  it("random numbers on the way are refused by name, unless they are accepted or elsewhere", () => {
    const noisy = build((b) => {
      const v = b.input("v", DataType.FLOAT, [2]);
      b.output("y", b.op("Add", [v, b.op("RandomNormalLike", [v])]));
      b.output("calm", b.op("Exp", [v]));
      b.output("dropped", b.op("Dropout", [v, b.constant([0.5], [], 1), b.constant([1], [], DataType.BOOL)]));
      b.output("kept", b.op("Dropout", [v, b.constant([0.5], [], 1), b.constant([0], [], DataType.BOOL)]));
    });
    for (const outputs of [["y"], ["dropped"]])
      assert.throws(() => differentiateGraph(noisy, { outputs }), {
        code: "ERR_MODEL_UNSUPPORTED",
        message: /(RandomNormalLike|Dropout) node .* random numbers .*allowRandom/,
      });
    assert.ok(differentiateGraph(noisy, { outputs: ["calm", "kept"] }));
    assert.ok(differentiateGraph(noisy, { outputs: ["y"], allowRandom: true }));
    assert.deepEqual(
      randomNodes(noisy).map((node) => node.opType),
      ["RandomNormalLike", "Dropout"],
    );
  });

  it("every node without a gradient is listed, behind one another and in the graph's order", () => {
    const graph = build((b) => {
      const v = b.input("v", DataType.FLOAT, [2, 2]);
      const four = b.op("Expand", [b.op("MaxRoiPool", [v]), b.ints([2, 2])]);
      b.output("y", b.op("MaxRoiPool", [b.op("Exp", [four])]));
    });
    graph.outputs[0]!.elemType = DataType.FLOAT;
    const found = gradientObstacles(graph);
    assert.deepEqual(
      found.map(({ opType, node }) => [opType, node]),
      graph.nodes.filter((node) => node.opType === "MaxRoiPool").map((node) => ["MaxRoiPool", node.name]),
    );
    assert.equal(found.length, 2);
    assert.match(found[0]!.message, /MaxRoiPool node .* no rule/);
  });

  it("node inputs that cannot be differentiated are said so", () => {
    const training = build((b) => {
      const v = b.input("v", DataType.FLOAT, [2]);
      b.output("y", b.op("Dropout", [v, b.constant([0.5], [], 1), b.constant([1], [], DataType.BOOL)]));
    });
    assert.throws(() => differentiateGraph(training, { allowRandom: true }), {
      code: "ERR_NO_GRADIENT",
      message: /training mode/,
    });
    const factors = build((b) => {
      const v = b.input("v", DataType.FLOAT, [1025]);
      const data = b.constant([1, 2], [2], 1);
      const places = b.ints(new Array<number>(1025).fill(1));
      b.output("y", b.op("ScatterElements", [data, places, v], { reduction: "mul" }));
    });
    assert.throws(() => differentiateGraph(factors), { code: "ERR_NO_GRADIENT", message: /factors.*1025/ });
  });
});
