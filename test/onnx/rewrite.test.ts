/** Rewrites: each is taken where it should be, computes the same, and stays differentiable, twice. */
import assert from "node:assert/strict";
import type { AttributeValue } from "../../lib/onnx/attributes.js";
import {
  Builder,
  copyGraph,
  differentiateGraph,
  emptyGraph,
  graphToRun,
  type Dim,
  type Graph,
} from "../../lib/onnx/index.js";
import { rewriteBoth, rewriteForward } from "../../lib/onnx/rewrite/index.js";
import { assertClose, checkGradient, runGraph, type Feed } from "../support/operators.js";
import { random, seedOf, uniform } from "../support/numbers.js";

type Attributes = Record<string, AttributeValue>;

interface Rewritten {
  name: string;
  inputs: Record<string, Dim[]>;
  build: (b: Builder, inputs: Record<string, string>, next: () => number) => string;
  pass: (graph: Graph) => Graph;
  /** Operators that must be there afterwards, and ones that must not. */
  has?: string[];
  lacks?: string[];
  /** Nothing is to be rewritten. */
  untouched?: boolean;
}

const float = 1;
const weights = (b: Builder, next: () => number, dims: number[]): string =>
  b.constant(
    Float32Array.from(
      uniform(
        next,
        dims.reduce((p, q) => p * q, 1),
      ),
    ),
    dims,
    float,
  );

function transposed(
  name: string,
  x: Dim[],
  W: number[],
  attributes: Attributes,
  more: Partial<Rewritten> & { bias?: boolean },
): Rewritten {
  const group = typeof attributes.group === "number" ? attributes.group : 1;
  return {
    name: `ConvTranspose ${name}`,
    inputs: { x },
    build: (b, { x }, next) =>
      b.op(
        "ConvTranspose",
        [x!, weights(b, next, W), ...(more.bias ? [weights(b, next, [W[1]! * group])] : [])],
        attributes,
      ),
    pass: rewriteBoth,
    ...more,
  };
}

const two = { strides: [2, 2] };
const woven = { has: ["Conv", "MatMul"], lacks: ["ConvTranspose"] };
const patched = { has: ["MatMul", "Transpose"], lacks: ["ConvTranspose", "Conv"] };
const kept = { untouched: true };

const transposedCases: Rewritten[] = [
  transposed("4×4", ["batch", 3, 4, 5], [3, 16, 4, 4], { ...two, pads: [1, 1, 1, 1] }, woven),
  transposed(
    "4×4 with a bias",
    ["batch", 3, 5, 4],
    [3, 16, 4, 4],
    { ...two, pads: [1, 1, 1, 1] },
    { ...woven, bias: true },
  ),
  transposed("blocked channels", ["batch", 16, 7, 3], [16, 32, 4, 4], { ...two, pads: [1, 1, 1, 1] }, woven),
  transposed(
    "3×3 and output padding",
    ["batch", 2, 3, 5],
    [2, 17, 3, 3],
    { ...two, pads: [1, 1, 1, 1], output_padding: [1, 1] },
    { ...woven, bias: true },
  ),
  transposed("6×6", ["batch", 2, 3, 3], [2, 16, 6, 6], { ...two, pads: [2, 2, 2, 2] }, woven),
  transposed(
    "5×3, uneven",
    ["batch", 2, 3, 4],
    [2, 16, 5, 3],
    { ...two, pads: [2, 1, 2, 1], output_padding: [1, 1] },
    woven,
  ),
  transposed("uneven pads", ["batch", 2, 3, 4], [2, 16, 4, 4], { ...two, pads: [0, 2, 2, 0] }, woven),
  transposed(
    "1×1, zeros between",
    ["batch", 3, 4, 2],
    [3, 16, 1, 1],
    { ...two, output_padding: [1, 1] },
    woven,
  ),
  transposed(
    "1×1 with a bias",
    ["batch", 3, 4, 2],
    [3, 16, 1, 1],
    { ...two, output_padding: [1, 1] },
    { ...kept, bias: true },
  ),
  transposed("one element", ["batch", 3, 1, 1], [3, 16, 4, 4], { ...two, pads: [1, 1, 1, 1] }, woven),
  transposed("free sizes", ["batch", 3, "h", "w"], [3, 16, 4, 4], { ...two, pads: [1, 1, 1, 1] }, kept),
  transposed("not twice the size", ["batch", 3, 4, 4], [3, 16, 4, 4], two, kept),
  transposed(
    "wide",
    ["batch", 3, 2, 17],
    [3, 16, 4, 4],
    { ...two, pads: [1, 1, 1, 1] },
    { has: ["Conv", "Concat"], lacks: ["ConvTranspose", "MatMul"], bias: true },
  ),
  transposed(
    "wide, of few taps",
    ["batch", 1, 2, 17],
    [1, 16, 3, 3],
    { ...two, pads: [1, 1, 1, 1], output_padding: [1, 1] },
    kept,
  ),
  transposed("few channels", ["batch", 16, 4, 4], [16, 15, 4, 4], { ...two, pads: [1, 1, 1, 1] }, kept),
  transposed("1×1, wide", ["batch", 3, 1, 8], [3, 16, 1, 1], { ...two, output_padding: [1, 1] }, kept),
  transposed("groups", ["batch", 4, 3, 3], [4, 16, 4, 4], { ...two, pads: [1, 1, 1, 1], group: 2 }, kept),
  transposed(
    "dilations",
    ["batch", 2, 3, 3],
    [2, 16, 2, 2],
    { ...two, dilations: [2, 2], output_padding: [1, 1] },
    kept,
  ),
  transposed("stride 1", ["batch", 2, 3, 3], [2, 16, 3, 3], {}, kept),
  transposed("1-D", ["batch", 2, 3], [2, 16, 4], { strides: [2], pads: [1, 1] }, kept),
  transposed("auto_pad", ["batch", 2, 3, 3], [2, 16, 4, 4], { ...two, auto_pad: "SAME_UPPER" }, kept),
  transposed("patches", ["batch", 4, 3, 2], [4, 3, 5, 5], { strides: [5, 5] }, patched),
  transposed("patches 2×2", ["batch", 4, 3, 2], [4, 3, 2, 2], two, patched),
  transposed(
    "patches with a bias",
    ["batch", 4, 3, 2],
    [4, 3, 3, 3],
    { strides: [3, 3] },
    { ...kept, bias: true },
  ),
  transposed(
    "patches with padding",
    ["batch", 4, 3, 3],
    [4, 3, 3, 3],
    { strides: [3, 3], pads: [1, 1, 1, 1] },
    kept,
  ),
];

function linear(name: string, x: Dim[], bias: number[] | null, more: Partial<Rewritten>): Rewritten {
  return {
    name: `linear layer ${name}`,
    inputs: { x },
    build: (b, { x }, next) => {
      const y = b.op("MatMul", [x!, b.op("Transpose", [weights(b, next, [3, 5])], { perm: [1, 0] })]);
      return bias ? b.op("Add", [weights(b, next, bias), y]) : y;
    },
    pass: rewriteForward,
    ...more,
  };
}

const gemm = { has: ["Gemm"], lacks: ["MatMul", "Transpose"] };

const linearCases: Rewritten[] = [
  linear("of rank 2", ["batch", 5], null, gemm),
  linear("of rank 2 with a bias", ["batch", 5], [3], { has: ["Gemm"], lacks: ["MatMul", "Add"] }),
  linear("of rank 3", ["batch", 7, 5], null, gemm),
  linear("of rank 3 with a bias", [7, "batch", 5], [3], { has: ["Gemm"], lacks: ["MatMul", "Add"] }),
  linear("of rank 4", ["batch", 2, 3, 5], [3], { has: ["Gemm"], lacks: ["MatMul", "Add"] }),
  linear("with a bias of one number", ["batch", 2, 5], [1], { has: ["Gemm", "Add"], lacks: ["MatMul"] }),
  linear("with a bias that widens it", ["batch", 5], [2, 1, 3], { has: ["Gemm", "Add"], lacks: ["MatMul"] }),
  linear("of free sizes", ["batch", "n", 5], null, kept),
  linear("of one vector", [5], null, kept),
];

/** A convolution of an image with doubled pixels. */
function enlarged(
  name: string,
  W: number[],
  more: Partial<Rewritten> & {
    x?: Dim[];
    resize?: Attributes;
    conv?: Attributes;
    sizes?: number[];
    bias?: boolean;
  },
): Rewritten {
  const { x = ["batch", W[1]!, 8, 9], resize, conv, sizes, bias, ...rest } = more;
  const half = (W[2]! - 1) / 2;
  return {
    name: `Conv of doubled pixels, ${name}`,
    inputs: { x },
    build: (b, { x }, next) => {
      const scales = b.constant([1, 1, 2, 2], [4], float);
      const large = b.op("Resize", [x!, null, sizes ? null : scales, sizes ? b.ints(sizes) : null], {
        coordinate_transformation_mode: "asymmetric",
        nearest_mode: "floor",
        ...resize,
      });
      return b.op("Conv", [large, weights(b, next, W), bias ? weights(b, next, [W[0]!]) : null], {
        kernel_shape: W.slice(2),
        pads: [half, half, half, half],
        ...conv,
      });
    },
    pass: rewriteForward,
    ...rest,
  };
}

const summed = { has: ["ConvTranspose"], lacks: ["Conv", "Resize"] };

const enlargedCases: Rewritten[] = [
  enlarged("3×3", [16, 3, 3, 3], summed),
  enlarged("3×3 with a bias", [16, 3, 3, 3], { ...summed, bias: true }),
  enlarged("5×5", [16, 2, 5, 5], summed),
  enlarged("3×3 and half pixels", [16, 3, 3, 3], {
    ...summed,
    resize: { coordinate_transformation_mode: "half_pixel", nearest_mode: "round_prefer_floor" },
  }),
  enlarged("1×1 with a bias", [5, 3, 1, 1], { has: ["Conv", "Resize"], bias: true }),
  enlarged("1×1 of free sizes", [5, 3, 1, 1], { x: ["batch", 3, "h", "w"], has: ["Conv", "Resize"] }),
  enlarged("other rounding", [16, 3, 3, 3], { ...kept, resize: { nearest_mode: "ceil" } }),
  enlarged("free sizes", [16, 3, 3, 3], { ...kept, x: ["batch", 3, "h", "w"] }),
  enlarged("few channels", [15, 3, 3, 3], kept),
  enlarged("a small map", [16, 3, 3, 3], { ...kept, x: ["batch", 3, 7, 9] }),
  enlarged("groups", [16, 1, 3, 3], { ...kept, x: ["batch", 2, 8, 9], conv: { group: 2 } }),
  enlarged("other padding", [16, 3, 3, 3], { ...kept, conv: { pads: [0, 0, 0, 0] } }),
  enlarged("strides", [16, 3, 3, 3], { ...kept, conv: { strides: [2, 2] } }),
  enlarged("dilations", [16, 3, 3, 3], { ...kept, conv: { dilations: [2, 2] } }),
];

const normalized = (name: string, W: number[], attributes: Attributes, bias: boolean): Rewritten => {
  const group = typeof attributes.group === "number" ? attributes.group : 1;
  const channels = W[1]! * group;
  return {
    name: `BatchNormalization behind ConvTranspose ${name}`,
    inputs: { x: ["batch", W[0]!, ...W.slice(2).map(() => 4)] },
    build: (b, { x }, next) => {
      const y = b.op(
        "ConvTranspose",
        [x!, weights(b, next, W), bias ? weights(b, next, [channels]) : null],
        attributes,
      );
      const variance = b.constant(Float32Array.from(uniform(next, channels, 0.5, 2)), [channels], float);
      const [scale, shift, mean] = [1, 2, 3].map(() => weights(b, next, [channels]));
      return b.op("BatchNormalization", [y, scale!, shift!, mean!, variance], { epsilon: 1e-3 });
    },
    pass: rewriteForward,
    has: ["ConvTranspose"],
    lacks: ["BatchNormalization"],
  };
};

const otherCases: Rewritten[] = [
  normalized("2-D", [3, 2, 4, 4], { strides: [2, 2], pads: [1, 1, 1, 1] }, false),
  normalized("with a bias and groups", [4, 3, 3, 3], { group: 2, output_padding: [0, 0] }, true),
  normalized("1-D", [2, 3, 3], { dilations: [2] }, true),
  {
    name: "parts side by side",
    inputs: { x: ["batch", 6, 4] },
    build: (b, { x }) => {
      const pad = (from: number, to: number): string =>
        b.op("Pad", [
          b.op("Slice", [x!, b.ints([from]), b.ints([to]), b.ints([1])]),
          b.ints([0, from, 0, 0, 6 - to, 0]),
        ]);
      return b.op("Sum", [pad(3, 6), pad(0, 1), pad(1, 3)]);
    },
    pass: rewriteBoth,
    has: ["Concat"],
    lacks: ["Pad", "Sum"],
  },
  {
    name: "parts that overlap",
    inputs: { x: ["batch", 4] },
    build: (b, { x }) =>
      b.op("Add", [b.op("Pad", [x!, b.ints([0, 0, 0, 3])]), b.op("Pad", [x!, b.ints([0, 3, 0, 0])])]),
    pass: rewriteBoth,
    untouched: true,
  },
  {
    name: "parts with a gap",
    inputs: { x: ["batch", 4] },
    build: (b, { x }) =>
      b.op("Add", [b.op("Pad", [x!, b.ints([0, 0, 0, 5])]), b.op("Pad", [x!, b.ints([0, 5, 0, 0])])]),
    pass: rewriteBoth,
    untouched: true,
  },
  {
    name: "parts padded with ones",
    inputs: { x: ["batch", 4] },
    build: (b, { x }) => {
      const pad = (pads: number[]): string => b.op("Pad", [x!, b.ints(pads), b.scalar(1, x!)]);
      return b.op("Add", [pad([0, 0, 0, 4]), pad([0, 4, 0, 0])]);
    },
    pass: rewriteBoth,
    untouched: true,
  },
];

async function checkRewrite(spec: Rewritten): Promise<void> {
  const next = random(seedOf(spec.name));
  const b = new Builder(emptyGraph("case"));
  const names = Object.fromEntries(
    Object.entries(spec.inputs).map(([name, dims]) => [name, b.input(name, float, dims)]),
  );
  b.output("y", spec.build(b, names, next));
  const before = copyGraph(b.graph);
  const after = spec.pass(copyGraph(b.graph));
  const count = (graph: Graph, opType: string): number =>
    graph.nodes.filter((node) => node.opType === opType).length;
  if (spec.untouched) assert.deepEqual(after.nodes, before.nodes);
  for (const opType of spec.has ?? []) assert.ok(count(after, opType) > 0, `${opType} is not there`);
  for (const opType of spec.lacks ?? []) assert.equal(count(after, opType), 0, `${opType} is there`);
  for (const batch of [1, 3]) {
    const feeds = Object.fromEntries(
      Object.entries(spec.inputs).map(([name, dims]): [string, Feed] => {
        const shape = dims.map((dim) => (typeof dim === "number" ? dim : dim === "batch" ? batch : 4));
        return [
          name,
          {
            dims: shape,
            data: uniform(
              next,
              shape.reduce((p, q) => p * q, 1),
            ),
          },
        ];
      }),
    );
    const [expected, actual] = [await runGraph(before, feeds), await runGraph(after, feeds)];
    assert.deepEqual(actual.y!.dims, expected.y!.dims);
    assertClose(actual.y!.data, expected.y!.data, 1e-6, `${spec.name} at batch ${batch}`);
  }
}

describe("onnx: rewrites", () => {
  it("of 1×1 kernels behind doubled pixels: the kernel comes first", () => {
    const spec = enlargedCases.find(({ name }) => name.includes("1×1 of"))!;
    const b = new Builder(emptyGraph("case"));
    b.output("y", spec.build(b, { x: b.input("x", float, spec.inputs.x!) }, random(1)));
    assert.deepEqual(
      rewriteForward(b.graph).nodes.map(({ opType }) => opType),
      ["Conv", "Resize", "Identity"],
    );
  });

  it("for GPUs, images made larger stay as they are", () => {
    const b = new Builder(emptyGraph("case"));
    b.output("y", enlargedCases[0]!.build(b, { x: b.input("x", float, ["batch", 3, 8, 9]) }, random(1)));
    const before = copyGraph(b.graph);
    for (const target of ["cuda", "webgpu"] as const)
      assert.deepEqual(rewriteForward(b.graph, target).nodes, before.nodes);
  });

  for (const spec of [...transposedCases, ...enlargedCases, ...linearCases, ...otherCases]) {
    it(`${spec.name}${spec.untouched ? " is left alone" : ""}`, () => checkRewrite(spec));
    if (spec.untouched || Object.values(spec.inputs).some((dims) => dims.includes("h"))) continue;
    it(`${spec.name}: gradients of both orders`, () =>
      checkGradient({
        name: spec.name,
        single: true,
        inputs: Object.fromEntries(Object.entries(spec.inputs).map(([name, dims]) => [name, { dims }])),
        build: (b, inputs) => spec.build(b, inputs, random(seedOf(spec.name))),
        // Linear, so that a large step is exact.
        step: 0.5,
        tolerance: 1e-4,
      }));
  }

  it("of a model that only runs: a generator's transposed convolutions, at the operator set that it comes with", async () => {
    const next = random(7);
    const b = new Builder(emptyGraph("generator"));
    const z = b.input("z", float, ["batch", 6]);
    const stack = b.op("Reshape", [z, b.ints([-1, 6, 1, 1])]);
    const wide = b.op("ConvTranspose", [stack, weights(b, next, [6, 16, 4, 4])]);
    const norm = [0, 1, 2, 3].map((i) => b.constant(uniform(next, 16, i / 4, 2), [16], float));
    const up = { ...two, pads: [1, 1, 1, 1] };
    const norms = b.op("BatchNormalization", [
      b.op("ConvTranspose", [wide, weights(b, next, [16, 16, 4, 4])], up),
      ...norm,
    ]);
    b.output("y", b.op("ConvTranspose", [b.op("Relu", [norms]), weights(b, next, [16, 3, 4, 4])], up));
    b.graph.opsets.set("", 13);
    const before = copyGraph(b.graph);
    const after = graphToRun(b.graph);
    assert.deepEqual(b.graph.nodes, before.nodes);
    const types = after.nodes.map(({ opType }) => opType);
    assert.equal(types.filter((type) => type === "ConvTranspose").length, 2);
    assert.ok(types.includes("Conv") && !types.includes("BatchNormalization"));
    for (const batch of [1, 3]) {
      const feeds = { z: { dims: [batch, 6], data: uniform(next, batch * 6) } };
      const [expected, actual] = [await runGraph(before, feeds), await runGraph(after, feeds)];
      assert.deepEqual(actual.y!.dims, [batch, 3, 16, 16]);
      assertClose(actual.y!.data, expected.y!.data, 1e-5, `y at batch ${batch}`);
    }
  });

  it("of a model that only runs: one without transposed convolutions, or that cannot be read, stays as it is", () => {
    const b = new Builder(emptyGraph("plain"));
    b.output("y", b.op("Relu", [b.input("x", float, ["batch", 3])]));
    assert.equal(graphToRun(b.graph), b.graph);
    b.output("z", b.op("ConvTranspose", ["x", "x"]));
    b.graph.opsets.set("", 5);
    assert.equal(graphToRun(b.graph), b.graph);
  });

  it("of a sum that enters the blocked layout only the terms outside are brought in", async () => {
    const next = random(8);
    const b = new Builder(emptyGraph("case"));
    const channels = 16;
    const kernel = (size: number): string => weights(b, next, [channels, channels, size, size]);
    const x = b.input("x", float, ["batch", channels, 6, 6]);
    const h = b.op("Relu", [b.op("Conv", [x, kernel(3)], { pads: [1, 1, 1, 1] })]);
    const short = b.op("Conv", [h, kernel(1)], { strides: [2, 2] });
    const long = b.op("Conv", [h, kernel(3)], { pads: [1, 1, 1, 1] });
    b.output("short", short);
    b.output("long", long);
    const graph = differentiateGraph(b.graph);
    const maker = new Map(graph.nodes.map((node) => [node.outputs[0]!, node.opType]));
    const pools = graph.nodes.filter((node) => node.opType === "AveragePool");
    assert.deepEqual(
      pools.map((node) => maker.get(node.inputs[0]!)),
      ["Reshape"],
    );
    const sums = graph.nodes.filter((node) => node.opType === "Add");
    assert.deepEqual(
      sums.map((node) => node.inputs.map((input) => maker.get(input)).sort()),
      [["AveragePool", "Conv"]],
    );
    // h is linear in x where nothing changes its sign, so one pass through the model is the other's transpose.
    const size = channels * 36;
    const at = { dims: [1, channels, 6, 6], data: uniform(next, size) };
    const seeds = {
      grad_short: { dims: [1, channels, 3, 3], data: uniform(next, channels * 9) },
      grad_long: { dims: [1, channels, 6, 6], data: uniform(next, size) },
    };
    const step = uniform(next, size, -1e-3, 1e-3);
    const given = await runGraph(graph, { x: at, ...seeds });
    const moved = await runGraph(b.graph, { x: { ...at, data: at.data.map((v, i) => v + step[i]!) } });
    let [change, along] = [0, 0];
    for (const name of ["short", "long"] as const)
      moved[name]!.data.forEach(
        (v, i) => (change += (v - given[name]!.data[i]!) * seeds[`grad_${name}`].data[i]!),
      );
    given.grad_x!.data.forEach((v, i) => (along += v * step[i]!));
    assertClose([change / along], [1], 2e-2, "along a small step");
  });
});
