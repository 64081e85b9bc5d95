/**
 * Forms that keep ONNX Runtime's blocked layout (lib/onnx/rules/blocked.ts): that each is taken where it should be, and
 * computes what the plain form does.
 */
import assert from "node:assert/strict";
import {
  Builder,
  DataType,
  differentiateGraph,
  emptyGraph,
  type Dim,
  type Graph,
  type Node,
} from "../../lib/onnx/index.js";
import { float, ints } from "../../lib/onnx/attributes.js";
import { steep } from "../../lib/onnx/rules/rule.js";
import { readNumbers } from "../../lib/onnx/tensors.js";
import { assertClose, checkGradient, runGraph, size, type Case, type Feed } from "../support/operators.js";
import { random, uniform } from "../support/numbers.js";

/** A constant of seeded numbers, or of the given ones. */
type Constant = (dims: number[], values?: number[]) => string;

/** Seeded weights as constants of the model (frozen, as the blocked layout needs) or as inputs of it. */
function weightsOf(
  b: Builder,
  frozen: boolean,
  scale = 1,
): { weight: Constant; feeds: Record<string, Feed> } {
  const next = random(11);
  const feeds: Record<string, Feed> = {};
  const weight: Constant = (dims, values) => {
    const fan = size(dims.slice(1));
    const data = values ?? Array.from(uniform(next, size(dims)), (v) => (scale * v) / Math.sqrt(fan));
    if (frozen) return b.constant(data, dims, DataType.FLOAT);
    const name = `w${Object.keys(feeds).length}`;
    feeds[name] = { dims, data };
    return b.input(name, DataType.FLOAT, dims);
  };
  return { weight, feeds };
}

/**
 * A residual block with rectifiers on `c` channels, its last convolution pointwise. Biases of ±`bias` keep channels open
 * or closed.
 */
function residual(b: Builder, x: string, c: number, weight: Constant, bias = 0): string {
  const biases = Array.from({ length: c }, (_, i) => (i % 3 === 1 ? -bias : bias));
  const conv = (value: string, k: number): string =>
    b.op("Conv", [value, weight([c, c, k, k]), weight([c], biases)], {
      kernel_shape: [k, k],
      pads: k === 3 ? [1, 1, 1, 1] : [0, 0, 0, 0],
    });
  const h = b.op("Relu", [conv(x, 3)]);
  const inner = conv(b.op("Relu", [conv(h, 3)]), 1);
  return conv(b.op("Relu", [b.op("Add", [h, inner])]), 1);
}

const isMask = (node: Node): boolean =>
  node.opType === "HardSigmoid" && float(node, "alpha", 0) === Math.fround(steep);

const count = (graph: Graph, test: (node: Node) => boolean): number => graph.nodes.filter(test).length;

function network(c: number, frozen: boolean, dims: Dim[] = ["n", c, 5, 4]) {
  const b = new Builder(emptyGraph("network", 18));
  const { weight, feeds } = weightsOf(b, frozen);
  const x = b.input("x", DataType.FLOAT, dims);
  b.output("y", residual(b, x, c, weight));
  return { graph: differentiateGraph(b.graph, { wrt: ["x"] }), feeds };
}

/** Every value that is made becomes an output, so that its shape can be looked at. */
async function checkDeclared(graph: Graph, feeds: Record<string, Feed>): Promise<number> {
  const made = graph.nodes.flatMap((node) => node.outputs).filter((name) => graph.valueInfos.has(name));
  const known = new Set(graph.outputs.map(({ name }) => name));
  const all = {
    ...graph,
    outputs: [
      ...graph.outputs,
      ...made.filter((name) => !known.has(name)).map((name) => graph.valueInfos.get(name)!),
    ],
  };
  const result = await runGraph(all, feeds);
  const symbols = new Map<string, number>();
  for (const name of made) {
    const { dims } = graph.valueInfos.get(name)!;
    assert.equal(result[name]!.dims.length, dims!.length, name);
    dims!.forEach((dim, axis) => {
      const actual = result[name]!.dims[axis]!;
      if (typeof dim === "number") assert.equal(actual, dim, `${name}, axis ${axis}`);
      if (typeof dim !== "string") return;
      assert.equal(symbols.get(dim) ?? actual, actual, `${name}, axis ${axis}, ${dim}`);
      symbols.set(dim, actual);
    });
  }
  return made.length;
}

describe("onnx rules: the blocked layout", () => {
  it("the mask of a rectifier at ties, signed zeros, denormal numbers and infinity", async () => {
    const b = new Builder(emptyGraph("mask", 18));
    const x = b.input("x", DataType.FLOAT, ["n", 16, "h", 1]);
    const ones = b.constant(new Array<number>(16).fill(1), [16, 1, 1, 1], DataType.FLOAT);
    b.output("y", b.op("Relu", [b.op("Conv", [x, ones], { group: 16, kernel_shape: [1, 1] })]));
    const graph = differentiateGraph(b.graph);
    assert.equal(count(graph, isMask), 1);
    const data = [
      -Infinity,
      -3e38,
      -1,
      -1e-40,
      -1e-45,
      -0,
      0,
      1e-45,
      1e-40,
      1.2e-38,
      1,
      3e38,
      Infinity,
      0,
      2,
      -2,
    ];
    const dims = [1, 16, 1, 1];
    const seed = data.map((_, i) => (i % 2 ? -1e30 : 0.1) * (i + 1));
    const result = await runGraph(graph, { x: { dims, data }, grad_y: { dims, data: seed } });
    // PyTorch: zero where x ≤ 0, else the adjoint, to the last bit.
    const expected = Float32Array.from(seed, (g, i) => (data[i]! > 0 ? g : 0));
    result.grad_x!.data.forEach((value, i) => assert.ok(value === expected[i], `${data[i]}: ${value}`));
  });

  it("the factor of a leaky rectifier at ties, signed zeros and infinity", async () => {
    const b = new Builder(emptyGraph("leaky", 18));
    const x = b.input("x", DataType.FLOAT, ["n", 16, "h", 1]);
    const ones = b.constant(new Array<number>(16).fill(1), [16, 1, 1, 1], DataType.FLOAT);
    b.output(
      "y",
      b.op("LeakyRelu", [b.op("Conv", [x, ones], { group: 16, kernel_shape: [1, 1] })], { alpha: 0.25 }),
    );
    const graph = differentiateGraph(b.graph);
    assert.equal(
      count(graph, ({ opType }) => opType === "Greater"),
      0,
    );
    const data = [-Infinity, -3e38, -1, -1e-38, -0, 0, 1.2e-38, 1, 3e38, Infinity, 2, -2, 0, 3, -3, 0.5];
    const dims = [1, 16, 1, 1];
    const seed = data.map((_, i) => (i % 2 ? -1e30 : 0.5) * (i + 1));
    const result = await runGraph(graph, { x: { dims, data }, grad_y: { dims, data: seed } });
    // As PyTorch's, which takes the slope below zero at zero.
    const expected = Float32Array.from(seed, (g, i) =>
      data[i]! > 0 ? Math.fround(g) : Math.fround(g) * 0.25,
    );
    result.grad_x!.data.forEach((value, i) => assert.ok(value === expected[i], `${data[i]}: ${value}`));
  });

  for (const c of [16, 48])
    it(`${c} channels: masks, pointwise kernels and sums in blocks`, async () => {
      const { graph } = network(c, true);
      assert.equal(count(graph, isMask), 3, "masks");
      assert.equal(
        count(graph, ({ opType }) => opType === "Greater"),
        0,
      );
      assert.equal(
        count(graph, ({ opType }) => opType === "ConvTranspose"),
        0,
        "rotated kernels, the pointwise too",
      );
      const plain = network(c, false);
      assert.equal(count(plain.graph, isMask), 0);
      assert.equal(
        count(plain.graph, ({ opType }) => opType === "Greater"),
        3,
      );
      const next = random(5);
      for (const [n, zeros] of [
        [1, false],
        [3, false],
        [2, true],
      ] as const) {
        const dims = [n, c, 5, 4];
        // Rows of zeros: with biases of 0 every rectifier there has a tie.
        const data = uniform(next, size(dims)).map((v, i) => (zeros && i < size(dims) / 2 ? 0 : v));
        const feeds = {
          ...plain.feeds,
          x: { dims, data },
          grad_y: { dims, data: uniform(next, size(dims)) },
        };
        const [fast, slow] = [await runGraph(graph, feeds), await runGraph(plain.graph, feeds)];
        assertClose(fast.grad_x!.data, slow.grad_x!.data, 2e-6, `batch ${n}`);
        if (zeros) assert.ok(fast.grad_x!.data.slice(0, size(dims) / 2).every((v) => v === 0));
      }
    });

  it("an adjoint that comes from elsewhere is brought into blocks", () => {
    const b = new Builder(emptyGraph("entry", 18));
    const { weight } = weightsOf(b, true);
    const x = b.input("x", DataType.FLOAT, ["n", 16, 3, 3]);
    b.output("y", b.op("Relu", [b.op("Conv", [x, weight([16, 16, 1, 1])], { kernel_shape: [1, 1] })]));
    const graph = differentiateGraph(b.graph);
    const pools = graph.nodes.filter(({ opType }) => opType === "AveragePool");
    assert.deepEqual(
      pools.map((node) => [node.inputs[0], ints(node, "kernel_shape")]),
      [["grad_y", [1, 1]]],
    );
  });

  for (const c of [15, 17, 24])
    it(`${c} channels do not fill blocks: the plain mask`, async () => {
      const [{ graph }, plain] = [network(c, true), network(c, false)];
      assert.equal(count(graph, isMask), 0);
      const dims = [2, c, 5, 4];
      const next = random(c);
      const data = uniform(next, size(dims)).map((v, i) => (i < size(dims) / 2 ? 0 : v));
      const feeds = { ...plain.feeds, x: { dims, data }, grad_y: { dims, data: uniform(next, size(dims)) } };
      const [fast, slow] = [await runGraph(graph, feeds), await runGraph(plain.graph, feeds)];
      assertClose(fast.grad_x!.data, slow.grad_x!.data, 2e-6, "grad_x");
    });

  it("what is declared of emitted values is so, at every size", async () => {
    const { graph } = network(16, true, ["n", 16, "height", "width"]);
    for (const dims of [
      [1, 16, 1, 1],
      [3, 16, 4, 7],
      [2, 16, 5, 2],
    ]) {
      const data = uniform(random(size(dims)), size(dims));
      const feeds = { x: { dims, data }, grad_y: { dims, data } };
      assert.ok((await checkDeclared(graph, feeds)) > 15);
    }
    const declared = graph.nodes.map((node) => graph.valueInfos.get(node.outputs[0]!)?.dims?.[0]);
    assert.ok(declared.filter((dim) => dim === "n").length > 8, "the batch keeps its name");
  });

  it("a reshape back names the sizes that stay, so that it takes an empty batch too", async () => {
    const b = new Builder(emptyGraph("reshape", 18));
    const x = b.input("x", DataType.FLOAT, ["n", 2, 3]);
    b.output("y", b.op("Exp", [b.op("Flatten", [x])]));
    const graph = differentiateGraph(b.graph);
    const target = graph.nodes.find(({ opType }) => opType === "Reshape")!.inputs[1]!;
    assert.deepEqual(Array.from(readNumbers(graph.initializers.get(target)!)!), [0, 2, 3]);
    for (const n of [0, 1, 4]) {
      const data = uniform(random(n), 6 * n);
      const result = await runGraph(graph, {
        x: { dims: [n, 2, 3], data },
        grad_y: { dims: [n, 6], data: new Float64Array(6 * n).fill(1) },
      });
      assert.deepEqual([...result.grad_x!.dims], [n, 2, 3]);
      assertClose(result.grad_x!.data, data.map(Math.exp), 1e-6, "grad_x");
    }
  });

  // To finite differences, and the gradient of the gradient too.
  const blocks = (dims: Dim[], name: string): Case => ({
    name: `a residual block, ${name}`,
    inputs: { x: { dims, values: (next, n) => uniform(next, n, -1, 1) } },
    build: (b, { x }, kind) => {
      // The float64 draft, by which the kind of numbers is chosen, needs no values.
      const { weight } = weightsOf(b, true, 0.3);
      const y = kind === DataType.FLOAT ? residual(b, x!, 16, weight, 2) : b.op("Conv", [x!, x!]);
      return b.op("Sin", [b.op("Flatten", [y])]);
    },
  });
  for (const spec of [
    blocks(["batch", 16, 2, 3], "symbolic batch"),
    blocks([2, 16, "batch", 2], "symbolic height"),
  ])
    it(spec.name, () => checkGradient(spec));
});
