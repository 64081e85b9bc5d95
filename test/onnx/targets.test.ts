/** Forms for GPUs: each computes on the CPU what the CPU's form computes, to the bit where an element is chosen. */
import assert from "node:assert/strict";
import type { AttributeValue } from "../../lib/onnx/attributes.js";
import {
  Builder,
  differentiateGraph,
  emptyGraph,
  graphToRun,
  type Dim,
  type Graph,
} from "../../lib/onnx/index.js";
import { tabledPlacement } from "../../lib/onnx/targets/placement.js";
import { random, seedOf, uniform } from "../support/numbers.js";
import { assertClose, runGraph, size, type Feed } from "../support/operators.js";

type Attributes = Record<string, AttributeValue>;
const float = 1;

function model(build: (b: Builder, x: (dims: Dim[]) => string) => string | string[], opset = 18): Graph {
  const b = new Builder(emptyGraph("model", opset));
  let inputs = 0;
  const made = build(b, (dims) => b.input(`x${inputs++}`, float, dims));
  (Array.isArray(made) ? made : [made]).forEach((value, i) => b.output(`y${i}`, value));
  return b.graph;
}

function feedsOf(graph: Graph, name: string, values = uniform): Record<string, Feed> {
  const next = random(seedOf(name));
  return Object.fromEntries(
    graph.inputs.map(({ name, dims }) => {
      const sizes = dims!.map((dim) => (typeof dim === "number" ? dim : 3));
      return [name, { dims: sizes, data: values(next, size(sizes)) }];
    }),
  );
}

const operatorsOf = (graph: Graph): Set<string> => new Set(graph.nodes.map(({ opType }) => opType));

describe("onnx: max pools for GPUs", () => {
  const cases: [string, Dim[], Attributes][] = [
    ["2×2", ["batch", 2, 4, 6], { kernel_shape: [2, 2], strides: [2, 2] }],
    [
      "overlapping, padded",
      ["batch", 2, 5, 6],
      { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] },
    ],
    ["uneven pads", ["batch", 2, 5, 6], { kernel_shape: [3, 2], strides: [1, 2], pads: [0, 1, 2, 0] }],
    ["ceil", ["batch", 2, 5, 6], { kernel_shape: [2, 3], strides: [2, 2], ceil_mode: 1 }],
    ["dilated", ["batch", 2, 6, 7], { kernel_shape: [2, 3], dilations: [2, 2] }],
    ["1-D", ["batch", 2, 9], { kernel_shape: [3], strides: [2] }],
    ["3-D", ["batch", 2, 4, 5, 4], { kernel_shape: [2, 2, 2], strides: [2, 1, 2] }],
    ["free sizes", ["batch", 2, "height", 6], { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1 }],
  ];
  // Of three different numbers most windows hold the largest one several times.
  const ties = (next: () => number, count: number): Float64Array =>
    Float64Array.from({ length: count }, () => Math.floor(next() * 3) - 1);

  for (const [name, dims, attributes] of cases)
    it(`${name}: the first of equals, as the CPU's`, async () => {
      const graph = model((b, x) => b.op("MaxPool", [x(dims)], attributes));
      await checkChoice(name, graph);
    });
  it("of the whole image", async () => {
    await checkChoice(
      "global",
      model((b, x) => b.op("GlobalMaxPool", [x(["batch", 2, 4, 5])])),
    );
    await checkChoice(
      "global, free",
      model((b, x) => b.op("GlobalMaxPool", [x(["batch", 2, "height", 5])])),
    );
  });

  async function checkChoice(name: string, graph: Graph): Promise<void> {
    const feeds = feedsOf(graph, name, ties);
    const { y0 } = await runGraph(graph, feeds);
    // Whole numbers, so that sums are exact in any order.
    const seed = Array.from({ length: y0!.data.length }, (_, i) => (i % 7) + 1);
    feeds.grad_y0 = { dims: [...y0!.dims], data: seed };
    const expected = await runGraph(differentiateGraph(graph), feeds);
    for (const target of ["cuda", "webgpu"] as const) {
      const formed = differentiateGraph(graph, { target });
      for (const { opType, outputs } of formed.nodes)
        assert.ok(opType !== "MaxPool" || !outputs[1], `${name}: ${target} is asked for indices`);
      const got = await runGraph(formed, feeds);
      assert.deepEqual([...got.grad_x0!.data], [...expected.grad_x0!.data], `${name} for ${target}`);
    }
  }
});

describe("onnx: convolutions for GPUs", () => {
  const constant = (b: Builder, name: string, dims: number[]): string =>
    b.constant(uniform(random(seedOf(name)), size(dims)), dims, float);
  interface Formed {
    target: "cuda" | "webgpu";
    x: Dim[];
    W: number[];
    attributes?: Attributes;
    bias?: number;
    /** Whether the form differs from the node. */
    changes: boolean;
  }
  const conv: Record<string, Formed> = {
    "6 channels to 4": { target: "webgpu", x: ["batch", 6, 5, 5], W: [4, 6, 3, 3], bias: 4, changes: true },
    "21 channels to 8": { target: "webgpu", x: ["batch", 21, 5, 5], W: [8, 21, 1, 1], changes: true },
    "9 channels to 4, 1-D": { target: "webgpu", x: ["batch", 9, 5], W: [4, 9, 3], changes: true },
    "3 channels to 4": { target: "webgpu", x: ["batch", 3, 5, 5], W: [4, 3, 3, 3], changes: false },
    "12 channels to 4": { target: "webgpu", x: ["batch", 12, 5, 5], W: [4, 12, 3, 3], changes: false },
    "6 channels to 3": { target: "webgpu", x: ["batch", 6, 5, 5], W: [3, 6, 3, 3], changes: false },
  };
  const transposed: Record<string, Formed> = {
    "groups of 1": {
      ...{ target: "webgpu", x: ["batch", 4, 4, 5], W: [4, 1, 3, 3], bias: 2, changes: true },
      attributes: { group: 2, strides: [2, 2] },
    },
    depthwise: {
      ...{ target: "webgpu", x: ["batch", 3, 5], W: [3, 1, 3], changes: true },
      attributes: { group: 3, strides: [2] },
    },
    "groups of 2": {
      ...{ target: "webgpu", x: ["batch", 4, 4, 5], W: [4, 2, 3, 3], changes: false },
      attributes: { group: 2 },
    },
    "uneven pads": {
      ...{ target: "cuda", x: ["batch", 3, 4, 5], W: [3, 2, 3, 4], bias: 2, changes: true },
      attributes: { strides: [2, 3], pads: [0, 2, 1, 1], output_padding: [1, 0] },
    },
    "uneven pads, 1-D": {
      ...{ target: "cuda", x: ["batch", 3, 4], W: [3, 2, 3], changes: true },
      attributes: { pads: [1, 0] },
    },
    "even pads": {
      ...{ target: "cuda", x: ["batch", 3, 4, 5], W: [3, 2, 3, 3], changes: false },
      attributes: { strides: [2, 2], pads: [1, 1, 1, 1] },
    },
  };
  for (const [opType, cases] of [
    ["Conv", conv],
    ["ConvTranspose", transposed],
  ] as const)
    for (const [name, { target, x, W, attributes, bias, changes }] of Object.entries(cases))
      it(`${opType}, ${name}: ${changes ? "another form" : "as it is"} for ${target}`, async () => {
        const graph = model((b, input) =>
          b.op(
            opType,
            [input(x), constant(b, name, W), ...(bias ? [constant(b, `${name} bias`, [bias])] : [])],
            attributes ?? {},
          ),
        );
        const formed = graphToRun(graph, target);
        assert.equal(formed.nodes.length > graph.nodes.length, changes);
        const feeds = feedsOf(graph, name);
        const [expected, got] = [await runGraph(graph, feeds), await runGraph(formed, feeds)];
        assert.deepEqual(got.y0!.dims, expected.y0!.dims);
        assertClose(got.y0!.data, expected.y0!.data, 1e-6, name);
      });
});

describe("onnx: graphs brought back for GPUs", () => {
  const newest = (b: Builder, x: (dims: Dim[]) => string): string => {
    const relu = b.op("Gelu", [x(["batch", 4, 6, 6])]);
    const pooled = b.op("AveragePool", [relu], { kernel_shape: [2, 2], strides: [2, 2] });
    return b.op("Sin", [b.op("Pad", [pooled, b.ints([0, 0, 1, 0, 0, 0, 0, 1])])]);
  };
  it("are of operator set 18 and give the same", async () => {
    const graph = model(newest, 22);
    for (const target of ["cuda", "webgpu"] as const) {
      const formed = graphToRun(graph, target);
      assert.equal(formed.opsets.get(""), 18);
      assert.ok(!operatorsOf(formed).has("Gelu"));
      const feeds = feedsOf(graph, "newest");
      const [expected, got] = [await runGraph(graph, feeds), await runGraph(formed, feeds)];
      assertClose(got.y0!.data, expected.y0!.data, 1e-6, target);
      assert.deepEqual(tabledPlacement(formed, target).onCpu, [], target);
    }
    assert.equal(graphToRun(graph, "cpu").opsets.get(""), 22);
  });
  it("stay where an operator means something that was not there", () => {
    const graph = model((b, x) => b.op("Pad", [x([2, 3]), b.ints([0, 1, 0, 0])], { mode: "wrap" }), 20);
    assert.equal(graphToRun(graph, "cuda").opsets.get(""), 20);
  });
  it("compute sines of large angles as the CPU does", async () => {
    const graph = model((b, x) => {
      const angle = x([400]);
      return ["Sin", "Cos", "Tan"].map((opType) => b.op(opType, [angle]));
    });
    const feeds = feedsOf(graph, "sines", (next, count) => uniform(next, count, -60, 60));
    const formed = graphToRun(graph, "webgpu");
    assert.ok(!["Sin", "Cos", "Tan"].some((opType) => operatorsOf(formed).has(opType)));
    const [expected, got] = [await runGraph(graph, feeds), await runGraph(formed, feeds)];
    for (const y of ["y0", "y1"]) assertClose(got[y]!.data, expected[y]!.data, 2e-6, y);
    // Near its poles a tangent magnifies what an angle was rounded by.
    got.y2!.data.forEach((value, i) => {
      const right = expected.y2!.data[i]!;
      assert.ok(Math.abs(value - right) <= 2e-6 * (1 + right ** 2), `tan: ${value}, expected ${right}`);
    });
  });
});

describe("onnx: where nodes run, by the tables", () => {
  const graph = model((b, x) => {
    const image = x(["batch", 4, 6, 6]);
    const root = b.op("Tanh", [b.op("Det", [b.op("Relu", [image])])]);
    const [pooled, places] = b.ops("MaxPool", [image], 2, { kernel_shape: [2, 2] });
    return [root, pooled!, places!];
  });
  it("tells what falls to the CPU, what fails, and what is copied for it", () => {
    const { onCpu, failing, copies, nodes } = tabledPlacement(graph, "webgpu");
    assert.equal(nodes, graph.nodes.length);
    assert.deepEqual(
      onCpu.map(({ opType, heavy }) => [opType, heavy]),
      [["Det", true]],
    );
    assert.match(onCpu[0]!.why, /webgpu has no kernel/);
    assert.deepEqual(
      failing.map(({ opType }) => opType),
      ["MaxPool"],
    );
    // Into Det and out of it.
    assert.equal(copies, 2);
    assert.deepEqual(tabledPlacement(graph, "cpu"), { nodes, onCpu: [], failing: [], copies: 0 });
  });
  it("calls other domains work", () => {
    const foreign = model((b, x) => b.op("Relu", [x([2, 3])]));
    foreign.nodes[0]!.domain = "com.microsoft";
    assert.deepEqual(
      tabledPlacement(foreign, "cuda").onCpu.map(({ heavy }) => heavy),
      [true],
    );
  });
});
