/**
 * Every operator with a gradient at every operator set from 18 to the newest that the runtime takes: values and gradients are
 * those of an interpreter of the specification in float64 and its finite differences.
 */
import assert from "node:assert/strict";
import {
  Builder,
  DataType,
  decodeModel,
  differentiateGraph,
  emptyGraph,
  encodeModel,
  type Graph,
} from "../../lib/onnx/index.js";
import { rules } from "../../lib/onnx/rules/index.js";
import { quantisedOperators } from "../../lib/onnx/straight-through.js";
import { interpret, knows, type Value } from "../support/interpreter.js";
import { newestOpset, runGraph, size, type Feed } from "../support/operators.js";
import { random, seedOf, uniform } from "../support/numbers.js";
import { smallest, withBodies } from "../support/smallest.js";

type Make = (b: Builder, x: (...dims: number[]) => string) => string;

/** Forms that came with a newer operator set, by its number. */
const forms: Record<string, [number, Make]> = {
  "Split in uneven parts": [18, (b, x) => b.op("Mul", [...part(b, x(2, 5))])],
  "ReduceMean over axes given": [
    18,
    (b, x) => b.op("ReduceMean", [x(2, 3, 4), b.ints([-1, 0])], { keepdims: 0 }),
  ],
  "Resize with antialias": [
    18,
    (b, x) =>
      b.op("Resize", [x(1, 1, 6, 8), null, b.constant([1, 1, 0.5, 0.5], [4], 1)], {
        mode: "linear",
        antialias: 1,
      }),
  ],
  "Resize to sizes": [
    18,
    (b, x) => b.op("Resize", [x(1, 1, 3, 4), null, null, b.ints([1, 1, 5, 7])], { mode: "linear" }),
  ],
  "Pad of some axes": [18, (b, x) => b.op("Pad", [x(2, 3, 4), b.ints([1, 2, 0, 1]), null, b.ints([0, 2])])],
  "ScatterElements, max": [
    18,
    (b, x) =>
      b.op("ScatterElements", [x(2, 4), b.constant([0, 0, 2, 3], [2, 2], 7), x(2, 2)], {
        axis: 1,
        reduction: "max",
      }),
  ],
  "LayerNormalization of two axes": [
    18,
    (b, x) => b.op("LayerNormalization", [x(2, 3, 4), x(3, 4), x(3, 4)], { axis: 1 }),
  ],
  GroupNormalization: [
    18,
    (b, x) =>
      b.op(
        "GroupNormalization",
        b.graph.opsets.get("")! < 21 ? [x(2, 4, 3), x(2), x(2)] : [x(2, 4, 3), x(4), x(4)],
        { num_groups: 2 },
      ),
  ],
  "Pad, wrap": [19, (b, x) => b.op("Pad", [x(2, 4), b.ints([0, 2, 0, 1])], { mode: "wrap" })],
  "AveragePool, dilated": [
    19,
    (b, x) => b.op("AveragePool", [x(1, 2, 5, 5)], { kernel_shape: [2, 2], dilations: [2, 1] }),
  ],
  "Gelu, tanh": [20, (b, x) => b.op("Gelu", [x(2, 3)], { approximate: "tanh" })],
  "AffineGrid with corners": [
    20,
    (b, x) => b.op("AffineGrid", [x(1, 2, 3), b.ints([1, 1, 3, 4])], { align_corners: 1 }),
  ],
  "AffineGrid and GridSample": [
    20,
    (b, x) =>
      b.op("GridSample", [
        x(1, 2, 4, 4),
        b.op("AffineGrid", [
          b.constant([0.7, 0.12, 0.03, -0.11, 0.6, 0.05], [1, 2, 3], 1),
          b.ints([1, 1, 3, 3]),
        ]),
      ]),
  ],
  "Attention of three axes, causal": [
    23,
    (b, x) =>
      b.op("Attention", [x(2, 3, 4), x(2, 3, 4), x(2, 3, 4)], {
        q_num_heads: 2,
        kv_num_heads: 2,
        is_causal: 1,
      }),
  ],
  "Attention with a mask, capped, in groups": [
    23,
    (b, x) =>
      b.op("Attention", [x(1, 4, 3, 2), x(1, 2, 5, 2), x(1, 2, 5, 3), x(3, 5)], { softcap: 1.5, scale: 0.9 }),
  ],
  "RotaryEmbedding, interleaved, by places": [
    23,
    (b, x) => {
      const [cos, sin] = [Math.cos, Math.sin].map((f) =>
        b.constant(
          Array.from({ length: 12 }, (_, i) => f(i)),
          [6, 2],
          1,
        ),
      );
      return b.op("RotaryEmbedding", [x(1, 2, 3, 4), cos!, sin!, b.constant([4, 0, 2], [1, 3], 7)], {
        interleaved: 1,
      });
    },
  ],
  "RMSNormalization of two axes": [
    23,
    (b, x) => b.op("RMSNormalization", [x(2, 3, 4), x(3, 4)], { axis: 1, epsilon: 1e-2 }),
  ],
  "Swish, alpha": [24, (b, x) => b.op("Swish", [x(2, 3)], { alpha: 1.4 })],
  "CumProd backwards": [26, (b, x) => b.op("CumProd", [x(2, 3), b.int(1)], { reverse: 1, exclusive: 1 })],
};

const part = (b: Builder, x: string): [string, string] => {
  const [p, q, r] = b.ops("Split", [x], 3, { axis: 1, num_outputs: 3 });
  return [b.op("Add", [p!, q!]), b.op("Sum", [r!])];
};

/** What the interpreter does not have: transforms and layouts that rules-*.test.ts and PyTorch's fixtures hold; and steps. */
const elsewhere = "CenterCropPad Col2Im DFT GRU MaxUnpool Round STFT Unique".split(" ");
/** Where an operator is defined, or has one smooth piece. */
const within: Record<string, [number, number]> = { Acosh: [1.2, 2], CastLike: [0.2, 0.9], Range: [0.2, 0.3] };
/** Operators that the pinned runtime has lost at an operator set. */
const gone: Record<string, number> = { Swish: 25, GlobalLpPool: 22 };
const statistics = ["x3", "x4"];

function fed(graph: Graph, name: string): Record<string, Feed & Value> {
  const next = random(seedOf(name));
  const [low, high] = within[name] ?? [0.15, 0.85];
  return Object.fromEntries(
    graph.inputs.map((input) => {
      const dims = input.dims as number[];
      return [input.name, { dims, data: uniform(next, size(dims), low, high).map(Math.fround) }];
    }),
  );
}

async function check(graph: Graph, name: string): Promise<void> {
  const feeds = fed(graph, name);
  if (name === "Range")
    [feeds.x0!.data, feeds.x1!.data, feeds.x2!.data] = [[0.1], [1], [0.25]].map((v) =>
      Float64Array.from(v),
    ) as [Float64Array, Float64Array, Float64Array];
  const fixed = name === "BatchNormalization" ? statistics : name === "RotaryEmbedding" ? ["x1", "x2"] : [];
  const wrt = graph.inputs
    .map((input) => input.name)
    .filter(
      (input) =>
        !fixed.includes(input) &&
        !(name === "Range" && input === "x1") &&
        !(name === "CastLike" && input === "x1"),
    );
  const output = graph.outputs[0]!.name;
  const value = (): Float64Array => interpret(graph, feeds).get(output)!.data;
  const plain = await runGraph(graph, feeds);
  close(plain[output]!.data, value(), 2e-5, "the runtime's value");
  const seed = uniform(random(seedOf(name) + 1), plain[output]!.data.length, 0.3, 1).map((v, i) =>
    i % 2 ? v : -v,
  );
  const gradient = differentiateGraph(graph, { wrt });
  const results = await runGraph(gradient, {
    ...feeds,
    [`grad_${output}`]: { dims: [...plain[output]!.dims], data: seed },
  });
  for (const input of wrt) {
    const { data } = feeds[input]!;
    const slopes = data.map((centre, i) => {
      const at = (v: number): number => {
        data[i] = v;
        return value().reduce((total, y, k) => total + y * seed[k]!, 0);
      };
      const slope = (at(centre + 1e-5) - at(centre - 1e-5)) / 2e-5;
      data[i] = centre;
      return slope;
    });
    close(results[`grad_${input}`]!.data, slopes, 1e-4, `the gradient of ${input}`);
  }
}

function close(got: ArrayLike<number>, expected: ArrayLike<number>, bound: number, what: string): void {
  assert.equal(got.length, expected.length, what);
  const scale = Array.from(expected).reduce((p, q) => Math.max(p, Math.abs(q)), 1e-2);
  for (let i = 0; i < expected.length; i++)
    assert.ok(
      Math.abs(got[i]! - expected[i]!) <= bound * scale,
      `${what}: ${got[i]} at ${i}, expected ${expected[i]}`,
    );
}

describe("onnx: every operator at every operator set", () => {
  const all = [...rules.keys()]
    .filter((opType) => !withBodies.has(opType) && !quantisedOperators.has(opType))
    .sort();

  it("the interpreter has all but a few", () => {
    assert.deepEqual(
      all.filter((opType) => !knows(opType)),
      elsewhere,
    );
  });

  for (const opType of all.filter(knows))
    it(opType, async () => {
      // The smallest one has numbers per channel; a form below has them per group, as they were before.
      const since = opType === "GroupNormalization" ? 21 : 18;
      const first = smallest(opType, DataType.FLOAT, since).opsets.get("")!;
      for (let opset = first; opset < (gone[opType] ?? newestOpset + 1); opset++)
        await check(decodeModel(encodeModel(smallest(opType, DataType.FLOAT, opset))), opType);
    });

  for (const [name, [since, make]] of Object.entries(forms))
    it(name, async () => {
      for (let opset = since; opset < (gone[name.split(",")[0]!] ?? newestOpset + 1); opset++) {
        const b = new Builder(emptyGraph(name, opset));
        let inputs = 0;
        b.output(
          "y",
          make(b, (...dims) => b.input(`x${inputs++}`, DataType.FLOAT, dims)),
        );
        await check(decodeModel(encodeModel(b.graph)), name);
      }
    });
});
