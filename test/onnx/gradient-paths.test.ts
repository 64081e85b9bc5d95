/** Which inputs have a gradient at which outputs, and what stops it. */
import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { AttributeProto_AttributeType, AttributeProtoSchema } from "onnx-buf";
import { ModelError } from "../../lib/base/errors.js";
import { encodeBody } from "../../lib/onnx/body.js";
import {
  Builder,
  DataType,
  differentiateGraph,
  emptyGraph,
  gradientPaths,
  inspectGraph,
  isVacuous,
  type Graph,
} from "../../lib/onnx/index.js";
import { rules } from "../../lib/onnx/rules/index.js";
import { quantisedOperators } from "../../lib/onnx/straight-through.js";
import { smallest, withBodies } from "../support/smallest.js";
import { assertClose, runGraph } from "../support/operators.js";

function build(make: (b: Builder, x: string) => void): Graph {
  const b = new Builder(emptyGraph("paths"));
  make(b, b.input("x", DataType.FLOAT, ["batch", 3]));
  return b.graph;
}

/** x → y through what `make` emits. */
const through = (make: (b: Builder, x: string) => string): Graph =>
  build((b, x) => b.output("y", make(b, x)));

/** "gradient", "independent", or the operators that stop it. */
const stops = (graph: Graph): string[] =>
  gradientPaths(graph).map(({ input, output, kind, stoppedBy }) => {
    const what = kind === "stopped" ? stoppedBy.map(({ opType }) => opType).join(" ") : kind;
    return `${input} → ${output}: ${what}`;
  });

const float = { to: DataType.FLOAT };
const black: Record<string, (b: Builder, x: string) => string> = {
  Sign: (b, x) => b.op("Sign", [b.op("Tanh", [x])]),
  Round: (b, x) => b.op("Mul", [b.op("Round", [x]), b.scalar(2, x)]),
  Floor: (b, x) => b.op("Floor", [x]),
  Ceil: (b, x) => b.op("Ceil", [x]),
  ArgMax: (b, x) => b.op("Cast", [b.op("ArgMax", [x], { axis: 1 })], float),
  Greater: (b, x) => b.op("Cast", [b.op("Greater", [x, b.scalar(0, x)])], float),
  Cast: (b, x) => b.op("Cast", [b.op("Cast", [x], { to: DataType.INT32 })], float),
  Where: (b, x) => b.op("Where", [b.op("Cast", [x], { to: DataType.BOOL }), b.scalar(1, x), b.scalar(-1, x)]),
  TopK: (b, x) => b.op("Cast", [b.ops("TopK", [x, b.ints([1])], 2)[1]!], float),
  NonZero: (b, x) => b.op("Cast", [b.op("NonZero", [x])], float),
  OneHot: (b, x) => b.op("OneHot", [x, b.int(3), b.constant([0, 1], [2], DataType.FLOAT)]),
  Hardmax: (b, x) => b.op("Hardmax", [x]),
  HardSigmoid: (b, x) => b.op("HardSigmoid", [x], { alpha: 2 ** 127, beta: 0.5 }),
};

describe("onnx: paths with a gradient", () => {
  for (const [name, make] of Object.entries(black))
    it(`end in ${name}`, () => {
      const graph = through(make);
      const stopper = name === "Where" ? "Cast" : name;
      assert.deepEqual(stops(graph), [`x → y: ${stopper}`]);
      assert.throws(
        () => differentiateGraph(graph),
        (error: unknown) =>
          error instanceof ModelError &&
          error.code === "ERR_NO_GRADIENT" &&
          /no path with a gradient leads from "x" to "y"/.test(error.message) &&
          error.message.includes(`${stopper} node`) &&
          error.message.includes("opset 18"),
      );
      const { withoutGradient, gradients, cost } = inspectGraph(graph);
      assert.deepEqual([withoutGradient, cost.withGradient], [[], null]);
      assert.ok(isVacuous(gradients));
    });

  it("differentiation agrees with for every operator and every input", () => {
    for (const opType of rules.keys()) {
      if (withBodies.has(opType) || quantisedOperators.has(opType)) continue;
      const graph = smallest(opType, DataType.FLOAT, 18);
      for (const { input, kind } of gradientPaths(graph)) {
        if (kind === "stopped") {
          assert.throws(
            () => differentiateGraph(graph, { wrt: [input] }),
            { code: "ERR_NO_GRADIENT" },
            opType,
          );
          continue;
        }
        assert.equal(kind, "gradient", `${opType}, ${input}`);
        let result: Graph;
        try {
          result = differentiateGraph(graph, { wrt: [input], keepOutputs: false });
        } catch (error) {
          assert.match(String(error), /depend on the input/, opType); // its rule refuses this input
          continue;
        }
        const { nodes, initializers } = result;
        const last = nodes.find(({ outputs }) => outputs.includes(`grad_${input}`))!;
        const filled = last.opType === "Expand" && initializers.has(last.inputs[0]!);
        assert.ok(!filled, `${opType}: the gradient of ${input} is made of nothing`);
      }
    }
  });

  it("go past constants, around what is constant almost everywhere, and past branches", () => {
    const weights = (b: Builder): string => b.op("Sign", [b.constant([1, -2, 3], [3, 1], DataType.FLOAT)]);
    assert.deepEqual(stops(through((b, x) => b.op("MatMul", [x, weights(b)]))), ["x → y: gradient"]);
    assert.deepEqual(stops(through((b, x) => b.op("Mul", [x, b.op("Sign", [x])]))), ["x → y: gradient"]);
    assert.deepEqual(stops(through((b, x) => b.filledLike(1, b.op("Sign", [x])))), ["x → y: independent"]);
    // The first one ends it; what follows is not to blame.
    assert.deepEqual(stops(through((b, x) => b.op("Round", [b.op("Exp", [b.op("Sign", [x])])]))), [
      "x → y: Sign",
    ]);
    const both = through((b, x) => b.op("Add", [b.op("Sign", [x]), b.op("Floor", [x])]));
    assert.deepEqual(stops(both), ["x → y: Sign Floor"]);
  });

  it("are told for every pair, and of integers, too", () => {
    const graph = build((b, x) => {
      const s = b.input("s", DataType.FLOAT, [1]);
      const i = b.input("i", DataType.INT64, ["batch"]);
      b.output("y", b.op("Add", [b.op("Sign", [x]), s]));
      b.output("picked", b.op("Gather", [x, i], { axis: 0 }));
      b.output("label", b.op("ArgMax", [x], { axis: 1, keepdims: 0 }));
    });
    assert.deepEqual(stops(graph), [
      "x → y: Sign",
      "x → picked: gradient",
      "x → label: ArgMax",
      "s → y: gradient",
      "s → picked: independent",
      "s → label: independent",
      "i → y: independent",
      "i → picked: ",
      "i → label: independent",
    ]);
    const [, , label, , , , , picked] = gradientPaths(graph);
    assert.match(label!.message, /"x" to "label": ArgMax node .* is constant almost everywhere/);
    assert.match(picked!.message, /"i" to "picked": "i" holds no real numbers \(int64\)/);
    // Where a part has none, differentiation gives zeros for it.
    differentiateGraph(graph);
    assert.throws(() => differentiateGraph(graph, { wrt: ["x"], outputs: ["y"] }), {
      code: "ERR_NO_GRADIENT",
    });
  });

  it("are zeros where only a part of what is asked for has none, or nothing depends", async () => {
    const graph = build((b, x) => {
      b.output("y", b.op("Add", [b.op("Sign", [x]), b.input("s", DataType.FLOAT, [1])]));
      b.output("shape", b.op("Cast", [b.op("Shape", [x])], float));
    });
    const result = await runGraph(differentiateGraph(graph), {
      x: { dims: [1, 3], data: [0.5, -2, 3] },
      s: { dims: [1], data: [1] },
      grad_y: { dims: [1, 3], data: [1, 2, 3] },
      grad_shape: { dims: [2], data: [1, 1] },
    });
    assertClose(result["grad_x"]!.data, [0, 0, 0], 0, "grad_x");
    assertClose(result["grad_s"]!.data, [6], 1e-6, "grad_s");
    differentiateGraph(graph, { outputs: ["shape"] });
  });

  it("end in a branch where all of them do", () => {
    const branching = (opTypes: [string, string]): Graph =>
      build((b, x) => {
        const condition = b.op("Greater", [b.sum(x, [0, 1], false), b.scalar(0, x)]);
        const branches = opTypes.map((opType) => {
          const inner = new Builder(emptyGraph(opType));
          inner.input(x, DataType.FLOAT, ["batch", 3]);
          inner.output(`out_${opType}`, inner.op(opType, [x]));
          return encodeBody(inner.graph, b.graph);
        });
        b.append({
          opType: "If",
          domain: "",
          name: "the branch",
          overload: "",
          inputs: [condition],
          outputs: ["y"],
          attributes: new Map(
            ["then_branch", "else_branch"].map((name, i) => [
              name,
              create(AttributeProtoSchema, {
                name,
                type: AttributeProto_AttributeType.GRAPH,
                g: branches[i]!,
              }),
            ]),
          ),
        });
        b.graph.outputs.push({ name: "y", elemType: DataType.FLOAT, dims: ["batch", 3] });
      });
    assert.deepEqual(stops(branching(["Sign", "Floor"])), ["x → y: If"]);
    assert.deepEqual(stops(branching(["Sign", "Tanh"])), ["x → y: gradient"]);
  });

  it("name what no rule is there for, as another thing", () => {
    const graph = through((b, x) => b.op("Round", [b.op("Mystery", [x])]));
    graph.nodes[0]!.domain = "example";
    graph.opsets.set("example", 1);
    const tanh = through((b, x) => b.op("Tanh", [b.op("Mystery", [x])]));
    tanh.nodes[0]!.domain = "example";
    tanh.opsets.set("example", 1);
    const [path] = gradientPaths(tanh);
    assert.deepEqual(path!.stoppedBy, [
      { opType: "Mystery", domain: "example", node: "Mystery", unknown: true },
    ]);
    assert.match(path!.message, /example\.Mystery .* no rule/);
    assert.equal(gradientPaths(graph)[0]!.stoppedBy[0]!.opType, "Round");
  });
});
