/** If, functions of the model, forward-mode derivatives and products with a Hessian. */
import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import {
  AttributeProto_AttributeType as Type,
  AttributeProtoSchema,
  FunctionProtoSchema,
  OperatorSetIdProtoSchema,
} from "onnx-buf";
import { encodeNode } from "../../lib/onnx/codec.js";
import { encodeBody } from "../../lib/onnx/body.js";
import { inlineFunctions } from "../../lib/onnx/inline.js";
import {
  Builder,
  DataType,
  decodeModel,
  differentiate,
  differentiateGraph,
  emptyGraph,
  encodeModel,
  inspectGraph,
  type Graph,
} from "../../lib/onnx/index.js";
import { assertClose, checkGradient, runGraph, type Case, type Feed } from "../support/operators.js";
import { random, uniform } from "../support/numbers.js";
import { jvp, jvpGraph } from "../support/jvp.js";

/** A branch, written as a graph whose inputs are captured. */
function branch(
  outer: Builder,
  prefix: string,
  captured: string[],
  write: (b: Builder, float: number) => string | string[],
  float: number,
) {
  const graph = emptyGraph(prefix, outer.graph.opsets.get(""));
  graph.inputs = captured.map((name) => outer.shapes.valueInfo(name));
  const b = new Builder(graph, `${prefix}/`);
  const made = write(b, float);
  (Array.isArray(made) ? made : [made]).forEach((value, i) => b.output(`${prefix}/out${i}`, value));
  const g = encodeBody(graph, emptyGraph("none"));
  return create(AttributeProtoSchema, { name: `${prefix}_branch`, type: Type.GRAPH, g });
}

function choose(
  b: Builder,
  condition: string,
  captured: string[],
  yes: (b: Builder, float: number) => string | string[],
  no: (b: Builder, float: number) => string | string[],
  float: number,
  outputs = 1,
): string[] {
  const names = Array.from({ length: outputs }, (_, i) => b.names.fresh(`chosen${i}`));
  b.append({
    opType: "If",
    domain: "",
    name: b.names.fresh("choice"),
    overload: "",
    inputs: [condition],
    outputs: names,
    attributes: new Map([
      ["then_branch", branch(b, "then", captured, yes, float)],
      ["else_branch", branch(b, "else", captured, no, float)],
    ]),
  });
  return names;
}

const ifs: Case[] = [0, 1].flatMap((value): Case[] => [
  {
    name: `If at run time, ${value}`,
    inputs: {
      x: { dims: ["batch", 3] },
      w: { dims: [3] },
      c: { dims: [], type: "bool", values: () => [value] },
    },
    build: (b, { x, w, c }, f) => {
      const h = b.op("Exp", [x!]);
      const [y] = choose(
        b,
        c!,
        [h, w!],
        (t) => t.op("Mul", [h, t.op("Sin", [w!])]),
        (t) => t.op("Tanh", [t.op("Add", [h, t.constant([0.3], [1], f)])]),
        f,
      );
      return b.op("Mul", [y!, x!]);
    },
  },
  {
    name: `If with two outputs and shapes that differ, ${value}`,
    inputs: { x: { dims: ["batch", 1, 3] }, c: { dims: [], type: "bool", values: () => [value] } },
    build: (b, { x, c }, f) => {
      const [y, z] = choose(
        b,
        c!,
        [x!],
        (t) => [t.op("Mul", [x!, x!]), t.op("Exp", [x!])],
        (t) => [t.op("Concat", [x!, x!], { axis: 1 }), t.op("Cos", [x!])],
        f,
        2,
      );
      return [b.op("Exp", [y!]), z!];
    },
  },
  {
    name: `If within an If, ${value}`,
    inputs: {
      x: { dims: ["batch", 3] },
      c: { dims: [], type: "bool", values: () => [value] },
      d: { dims: [], type: "bool", values: () => [1] },
    },
    build: (b, { x, c, d }, f) =>
      choose(
        b,
        c!,
        [x!, d!],
        (t) =>
          choose(
            t,
            d!,
            [x!],
            (u) => u.op("Sin", [x!]),
            (u) => u.op("Neg", [x!]),
            f,
          ),
        (t) => t.op("Mul", [x!, x!]),
        f,
      ),
  },
  {
    name: `If on a constant, ${value}`,
    inputs: { x: { dims: ["batch", 3] } },
    build: (b, { x }, f) =>
      choose(
        b,
        b.constant([value], [], DataType.BOOL),
        [x!],
        (t) => t.op("Mul", [x!, t.constant([1, 2, 3], [3], f)]),
        (t) => t.op("Squeeze", [t.op("Unsqueeze", [x!, t.ints([0])]), t.ints([0])]),
        f,
      ),
  },
]);

/** x · (x · (… Sin x)), every product in a branch of its own; with the condition false Exp x at the outermost. */
function nested(b: Builder, depth: number, x: string, c: string, float: number): string {
  return choose(
    b,
    c,
    [x, c],
    (t) => (depth === 1 ? t.op("Sin", [x]) : t.op("Mul", [nested(t, depth - 1, x, c, float), x])),
    (t) => t.op("Exp", [x]),
    float,
  )[0]!;
}
for (const [depth, value] of [
  [2, 1],
  [6, 1],
  [6, 0],
] as const)
  ifs.push({
    name: `Ifs nested ${depth} deep, ${value}`,
    inputs: { x: { dims: ["batch", 2] }, c: { dims: [], type: "bool", values: () => [value] } },
    build: (b, { x, c }, float) => nested(b, depth, x!, c!, float),
  });

/** f(a, b) = (LeakyRelu(a; slope) · b, a), which calls g(v) = v² of the same domain. */
function withFunctions(): Graph {
  const node = (opType: string, inputs: string[], outputs: string[], domain = "") =>
    encodeNode({ opType, domain, name: opType, overload: "", inputs, outputs, attributes: new Map() });
  const leaky = node("LeakyRelu", ["p"], ["t"]);
  leaky.attribute.push(
    create(AttributeProtoSchema, { name: "alpha", type: Type.FLOAT, refAttrName: "slope" }),
  );
  const opsetImport = [
    create(OperatorSetIdProtoSchema, { domain: "", version: 18n }),
    create(OperatorSetIdProtoSchema, { domain: "own", version: 1n }),
  ];
  const b = new Builder(emptyGraph("functions"));
  b.graph.opsets.set("own", 1);
  b.graph.functions = [
    create(FunctionProtoSchema, {
      name: "f",
      domain: "own",
      input: ["p", "q"],
      output: ["r", "p"],
      attribute: ["slope"],
      node: [leaky, node("g", ["t"], ["s"], "own"), node("Mul", ["s", "q"], ["r"])],
      opsetImport,
    }),
    create(FunctionProtoSchema, {
      name: "g",
      domain: "own",
      input: ["t"],
      output: ["s"],
      node: [node("Mul", ["t", "t"], ["s"])],
      opsetImport,
    }),
  ];
  const x = b.input("x", DataType.FLOAT, ["n"]);
  const call = (inputs: string[], outputs: string[], slope: number): void =>
    b.append({
      opType: "f",
      domain: "own",
      name: "call",
      overload: "",
      inputs,
      outputs,
      attributes: new Map([
        ["slope", create(AttributeProtoSchema, { name: "slope", type: Type.FLOAT, f: slope })],
      ]),
    });
  call([x, x], ["t", "same"], 0.5);
  call(["t", "same"], ["y"], 0.25);
  b.graph.outputs.push({ name: "y", elemType: DataType.FLOAT, dims: ["n"] });
  return b.graph;
}

/** Σ per row of tanh(x W₁)² W₂ with a convolution in between, in the kinds of numbers that have kernels. */
function energy(convolution: boolean): Graph {
  const b = new Builder(emptyGraph("energy"));
  const float = convolution ? DataType.FLOAT : DataType.DOUBLE;
  const weights = (count: number, seed: number): Float64Array => uniform(random(seed), count);
  const x = b.input("x", float, convolution ? ["n", 1, 4, 5] : ["n", 4]);
  const h = convolution
    ? b.op("Flatten", [
        b.op("Softplus", [
          b.op("Conv", [x, b.constant(weights(18, 1), [2, 1, 3, 3], float)], {
            strides: [2, 1],
            pads: [1, 1, 1, 1],
          }),
        ]),
      ])
    : b.op("MatMul", [x, b.constant(weights(24, 2), [4, 6], float)]);
  const features = convolution ? 20 : 6;
  const t = b.op("Tanh", [b.op("Gemm", [h, b.constant(weights(features * 3, 3), [features, 3], float)])]);
  b.output("e", b.op("ReduceLogSumExp", [b.op("Mul", [t, t]), b.ints([1])], { keepdims: 0 }));
  return b.graph;
}

describe("onnx: control flow, functions, forward mode", () => {
  for (const spec of ifs) it(spec.name, () => checkGradient(spec));

  it("Ifs nested too deeply are an error", () => {
    const b = new Builder(emptyGraph("deep"));
    const [x, c] = [b.input("x", DataType.FLOAT, ["n"]), b.input("c", DataType.BOOL, [])];
    b.output("y", nested(b, 18, x, c, DataType.FLOAT));
    assert.throws(() => differentiateGraph(b.graph, { wrt: ["x"] }), {
      code: "ERR_NO_GRADIENT",
      message: /nested too deeply/,
    });
  });

  it("an If on a constant leaves no If behind", () => {
    const b = new Builder(emptyGraph("test"));
    const x = b.input("x", DataType.FLOAT, ["n", 1]);
    const rank = b.op("Gather", [b.op("Shape", [x]), b.int(1)]);
    const condition = b.op("Equal", [rank, b.int(1)]);
    const [y] = choose(
      b,
      condition,
      [x],
      (t) => t.op("Squeeze", [x, t.ints([1])]),
      (t) => t.op("Identity", [x]),
      1,
    );
    b.output("y", y!);
    const graph = differentiateGraph(b.graph);
    assert.ok(!graph.nodes.some((node) => node.opType === "If"));
    assert.deepEqual(graph.inputs.find((input) => input.name === "grad_y")!.dims, ["n"]);
  });

  it("what stops a gradient within branches and functions is found, by node", () => {
    const b = new Builder(emptyGraph("branches"));
    const x = b.input("x", DataType.FLOAT, ["n", 2, 2]);
    const [c, d] = [b.input("c", DataType.BOOL, []), b.input("d", DataType.BOOL, [])];
    const unknown = (t: Builder): string => t.op("Hedge", [t.op("Exp", [x])]);
    const [y] = choose(
      b,
      c,
      [x, d],
      (t) => choose(t, d, [x], unknown, (u) => u.op("Sin", [x]), 1),
      (t) => t.op("Identity", [t.op("Hedge", [x])]),
      1,
    );
    b.output("y", y!);
    b.graph.outputs[0]!.elemType = DataType.FLOAT;
    const { withoutGradient, operators } = inspectGraph(b.graph, b.graph, { wrt: ["x"] });
    assert.deepEqual(
      withoutGradient.map(({ opType, nodes }) => [opType, nodes.map(({ name }) => name)]),
      [["Hedge", ["choice/else/Hedge", "choice/choice/then/Hedge"]]],
    );
    assert.match(withoutGradient[0]!.nodes[1]!.message, /Hedge node "then\/Hedge".*no rule/);
    assert.equal(operators.find(({ opType }) => opType === "Hedge")!.count, 2);
    assert.throws(() => differentiateGraph(b.graph, { wrt: ["x"] }), { code: "ERR_NO_GRADIENT" });

    const functions = withFunctions();
    functions.functions[1]!.node[0]!.opType = "Hedge";
    const found = inspectGraph(functions).withoutGradient;
    assert.deepEqual(
      found.map(({ opType, count }) => [opType, count]),
      [["Hedge", 2]],
    );
  });

  it("functions that a branch calls", async () => {
    const graph = withFunctions();
    const called = graph.nodes.pop()!;
    const b = new Builder(graph, "b/");
    const c = b.input("c", DataType.BOOL, []);
    graph.outputs = [];
    const [y] = choose(
      b,
      c,
      ["t", "same"],
      (t) => {
        t.append({ ...called, outputs: ["inner"] });
        return "inner";
      },
      (t) => t.op("Mul", ["t", "same"]),
      1,
    );
    b.output("y", y!);
    graph.outputs[0] = { name: "y", elemType: DataType.FLOAT, dims: ["n"] };
    const feeds = (value: number, at: number[]): Record<string, Feed> => ({
      x: { dims: [3], data: at },
      c: { dims: [], data: [value], type: "bool" },
      grad_y: { dims: [3], data: [1, 1, 1] },
    });
    const gradient = differentiateGraph(graph, { wrt: ["x"] });
    const plain = inlineFunctions(graph);
    for (const value of [0, 1]) {
      const at = [1.2, -0.8, 0.5];
      const result = await runGraph(gradient, feeds(value, at));
      const moved = (by: number): number[] => at.map((v) => v + by);
      const up = await runGraph(plain, feeds(value, moved(1e-2)));
      const down = await runGraph(plain, feeds(value, moved(-1e-2)));
      const slopes = up.y!.data.map((v, i) => (v - down.y!.data[i]!) / 2e-2);
      assertClose(result.grad_x!.data, slopes, 2e-3, `condition ${value}`);
    }
  });

  it("functions of the model", async () => {
    const bytes = encodeModel(withFunctions());
    const x = { dims: [3], data: [2, -1, 0.5] };
    // t = l(x)² x and y = l'(t)² x with slopes 0.5 and 0.25.
    const y = (v: number): number => {
      const t = (v > 0 ? v : 0.5 * v) ** 2 * v;
      return (t > 0 ? t : 0.25 * t) ** 2 * v;
    };
    const result = await runGraph(differentiate(bytes), { x, grad_y: { dims: [3], data: [1, 1, 1] } });
    assertClose(result.y!.data, x.data.map(y), 1e-6, "y");
    const slopes = x.data.map((v) => (y(v + 1e-5) - y(v - 1e-5)) / 2e-5);
    assertClose(result.grad_x!.data, slopes, 1e-5, "grad_x");
  });

  it("functions that call themselves, or are of another operator set", () => {
    const endless = withFunctions();
    endless.functions[1]!.node[0]!.opType = "g";
    endless.functions[1]!.node[0]!.domain = "own";
    assert.throws(() => differentiateGraph(endless), {
      code: "ERR_MODEL_UNSUPPORTED",
      message: /calls itself/,
    });
    const old = withFunctions();
    old.functions[0]!.opsetImport[0]!.version = 15n;
    assert.throws(() => differentiateGraph(old), {
      code: "ERR_MODEL_UNSUPPORTED",
      message: /operator set 15/,
    });
  });

  for (const convolution of [false, true])
    it(`forward mode and Hessian–vector products of a small ${convolution ? "convolution" : "MLP"}`, async () => {
      const model = encodeModel(energy(convolution));
      const type = convolution ? ("float32" as const) : ("float64" as const);
      const dims = convolution ? [2, 1, 4, 5] : [3, 4];
      const count = dims.reduce((p, q) => p * q, 1);
      const feed = (data: ArrayLike<number>): Feed => ({ dims, data, type });
      const [x, v] = [uniform(random(5), count), uniform(random(6), count)];
      const [step, tolerance] = convolution ? [1e-2, 1e-3] : [1e-5, 1e-8];
      const at = (by: number): Feed => feed(x.map((value, i) => value + by * v[i]!));
      const slope = (up: Float64Array, down: Float64Array): Float64Array =>
        up.map((value, i) => (value - down[i]!) / (2 * step));

      const forward = jvp(model);
      const tangent = await runGraph(forward, { x: feed(x), tangent_x: feed(v) });
      const values = [
        await runGraph(model, { x: at(step) }),
        await runGraph(model, { x: at(-step) }),
      ] as const;
      assert.deepEqual(
        decodeModel(forward).inputs.map(({ name }) => name),
        ["x", "tangent_x"],
      );
      assert.deepEqual(
        decodeModel(forward).outputs.map(({ name }) => name),
        ["e", "tangent_e"],
      );
      assertClose(tangent.tangent_e!.data, slope(values[0].e!.data, values[1].e!.data), tolerance, "J v");

      const gradient = encodeModel(differentiateGraph(decodeModel(model), { seed: "ones" }));
      const hessian = differentiate(gradient, { wrt: ["x"], outputs: ["grad_x"], prefix: "hessian_" });
      const product = await runGraph(hessian, { x: feed(x), hessian_grad_x: feed(v) });
      const ends = [
        await runGraph(gradient, { x: at(step) }),
        await runGraph(gradient, { x: at(-step) }),
      ] as const;
      const expected = slope(ends[0].grad_x!.data, ends[1].grad_x!.data);
      assertClose(product.hessian_x!.data, expected, tolerance, "H v");
      // The Hessian is symmetric: forward over reverse gives the same.
      const other = await runGraph(jvp(gradient, { outputs: ["grad_x"] }), {
        x: feed(x),
        tangent_x: feed(v),
      });
      assertClose(other.tangent_grad_x!.data, product.hessian_x!.data, 1e-5, "H v, forward over reverse");
    });

  it("forward mode of several inputs and outputs, and of one that nothing depends on", async () => {
    const b = new Builder(emptyGraph("several"));
    const [x, w] = [b.input("x", DataType.FLOAT, ["n", 2]), b.input("w", DataType.FLOAT, [2])];
    b.output("y", b.op("Mul", [x, w]));
    b.output("z", b.op("Identity", [w]));
    const graph = jvpGraph(b.graph, { keepOutputs: false });
    assert.deepEqual(
      graph.outputs.map(({ name, dims }) => [name, dims]),
      [
        ["tangent_y", ["n", 2]],
        ["tangent_z", [2]],
      ],
    );
    const result = await runGraph(graph, {
      x: { dims: [1, 2], data: [3, 4] },
      w: { dims: [2], data: [5, 6] },
      tangent_x: { dims: [1, 2], data: [1, 0] },
      tangent_w: { dims: [2], data: [0, 2] },
    });
    assert.deepEqual([...result.tangent_y!.data], [5, 8]);
    assert.deepEqual([...result.tangent_z!.data], [0, 2]);
    const partial = await runGraph(jvpGraph(b.graph, { wrt: ["x"], outputs: ["z"] }), {
      x: { dims: [1, 2], data: [3, 4] },
      w: { dims: [2], data: [5, 6] },
      tangent_x: { dims: [1, 2], data: [1, 1] },
    });
    assert.deepEqual([...partial.tangent_z!.data], [0, 0]);
  });
});
