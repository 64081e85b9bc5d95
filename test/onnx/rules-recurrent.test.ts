/**
 * LSTM, GRU and RNN: what they compute spelled out is what the runtime's kernels compute, and the gradient is that of the
 * kernels by finite differences, whether the steps are unrolled or run in a Scan.
 */
import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { AttributeProto_AttributeType as Type, AttributeProtoSchema } from "onnx-buf";
import { makeAttribute, type AttributeValue } from "../../lib/onnx/attributes.js";
import {
  decodeModel,
  differentiateGraph,
  emptyGraph,
  encodeModel,
  gradientObstacles,
  type Dim,
  type Graph,
} from "../../lib/onnx/index.js";
import { loadModel } from "../../lib/index.js";
import { assertClose, run, runGraph, session, size, type Feed } from "../support/operators.js";
import { random, seedOf, uniform } from "../support/numbers.js";

interface Case {
  op: "LSTM" | "GRU" | "RNN";
  name: string;
  directions?: 1 | 2;
  /** Which of B, lengths, h, c, P there are. */
  with?: string;
  attributes?: Record<string, AttributeValue>;
  outputs?: string[];
}

const gates = { LSTM: 4, GRU: 3, RNN: 1 };
const [steps, batch, inputs, hidden] = [3, 2, 2, 2];

function attribute(name: string, value: AttributeValue) {
  // A list of float numbers may look like one of integers.
  return name === "activations"
    ? create(AttributeProtoSchema, {
        name,
        type: Type.STRINGS,
        strings: (value as string[]).map((text) => new TextEncoder().encode(text)),
      })
    : makeAttribute(name, value);
}

function model(
  c: Case,
  kind: "known" | "free",
  layout = 0,
): { graph: Graph; feeds: Record<string, Feed & { data: Float64Array }> } {
  const d = c.directions ?? 1;
  const g = gates[c.op];
  const order = layout ? [batch, steps, inputs] : [steps, batch, inputs];
  const state = layout ? [batch, d, hidden] : [d, batch, hidden];
  const all: Record<string, [string, number[]]> = {
    X: ["X", order],
    W: ["W", [d, g * hidden, inputs]],
    R: ["R", [d, g * hidden, hidden]],
    B: ["B", [d, 2 * g * hidden]],
    lengths: ["lengths", [batch]],
    h: ["h", state],
    c: ["c", state],
    P: ["P", [d, 3 * hidden]],
  };
  const given = ["X", "W", "R", ...(c.with ?? "").split(" ").filter(Boolean)];
  const names = ["X", "W", "R", "B", "lengths", "h", ...(c.op === "LSTM" ? ["c", "P"] : [])];
  const graph = emptyGraph("recurrent", 17);
  const next = random(seedOf(`${c.op} ${c.name}`));
  const feeds: Record<string, Feed & { data: Float64Array }> = {};
  for (const name of given) {
    const dims = all[name]![1];
    const declared: Dim[] =
      name === "X" && kind === "free" ? dims.map((dim, i) => (i === (layout ? 1 : 0) ? "time" : dim)) : dims;
    graph.inputs.push({ name, elemType: name === "lengths" ? 6 : 1, dims: declared });
    feeds[name] =
      name === "lengths"
        ? { dims, data: Float64Array.from([3, 1]), type: "int32" }
        : { dims, data: uniform(next, size(dims)).map(Math.fround) };
  }
  const outputs = c.outputs ?? (c.op === "LSTM" ? ["Y", "H", "C"] : ["Y", "H"]);
  graph.nodes.push({
    opType: c.op,
    domain: "",
    name: "layer",
    overload: "",
    inputs: names.map((name) => (given.includes(name) ? name : "")),
    outputs,
    attributes: new Map(
      Object.entries({
        hidden_size: hidden,
        ...(d === 2 ? { direction: "bidirectional" } : {}),
        ...(layout ? { layout } : {}),
        ...c.attributes,
      }).map(([name, value]) => [name, attribute(name, value)]),
    ),
  });
  while (graph.nodes[0]!.inputs.at(-1) === "") graph.nodes[0]!.inputs.pop();
  graph.outputs = outputs.filter(Boolean).map((name) => ({ name, elemType: 1, dims: null }));
  return { graph, feeds };
}

const cases: Case[] = [
  ...(["LSTM", "GRU", "RNN"] as const).flatMap((op): Case[] => [
    { op, name: "plain" },
    {
      op,
      name: "reverse, with biases and states",
      with: op === "LSTM" ? "B h c" : "B h",
      attributes: { direction: "reverse" },
    },
    {
      op,
      name: "in both directions, rows of other lengths",
      directions: 2,
      with: op === "LSTM" ? "B lengths h c" : "B lengths h",
    },
    { op, name: "clipped", with: "B h", attributes: { clip: 0.4 } },
    { op, name: "only its last state", with: "B", outputs: ["", "H"] },
  ]),
  { op: "LSTM", name: "with peepholes", with: "B h c P" },
  {
    op: "LSTM",
    name: "with peepholes and lengths, in both directions",
    directions: 2,
    with: "B lengths h c P",
  },
  { op: "LSTM", name: "input and forget gate in one", with: "B c", attributes: { input_forget: 1 } },
  { op: "LSTM", name: "only its cell", with: "B", outputs: ["", "", "C"] },
  {
    op: "LSTM",
    name: "other activations",
    with: "B h c",
    attributes: {
      activations: ["HardSigmoid", "Softsign", "Relu"],
      activation_alpha: [0.3],
      activation_beta: [0.4],
    },
  },
  { op: "GRU", name: "reset behind the product", with: "B h", attributes: { linear_before_reset: 1 } },
  {
    op: "GRU",
    name: "reset behind the product, in both directions",
    directions: 2,
    with: "B lengths h",
    attributes: { linear_before_reset: 1 },
  },
  {
    op: "GRU",
    name: "reset behind the product, without biases",
    with: "h",
    attributes: { linear_before_reset: 1 },
  },
  {
    op: "GRU",
    name: "other activations",
    with: "B h",
    attributes: { activations: ["Sigmoid", "LeakyRelu"], activation_alpha: [0.2] },
  },
  ...(
    [
      ["Relu", {}],
      ["Sigmoid", {}],
      ["Softplus", {}],
      ["Softsign", {}],
      ["Affine", { activation_alpha: [0.7], activation_beta: [0.2] }],
      ["LeakyRelu", { activation_alpha: [0.3] }],
      ["ThresholdedRelu", { activation_alpha: [0.1] }],
      ["ScaledTanh", { activation_alpha: [0.7], activation_beta: [1.3] }],
      ["HardSigmoid", { activation_alpha: [0.3], activation_beta: [0.4] }],
      ["Elu", { activation_alpha: [0.6] }],
      ["LeakyRelu", {}],
      ["Elu", {}],
      ["HardSigmoid", {}],
    ] as [string, Record<string, number[]>][]
  ).map(([activation, more]): Case => ({
    op: "RNN",
    name: `${activation} ${Object.keys(more).length ? "with numbers" : ""}`,
    with: "B h",
    attributes: { activations: [activation], ...more },
  })),
  {
    op: "RNN",
    name: "activations of two directions",
    directions: 2,
    with: "B",
    attributes: {
      activations: ["ScaledTanh", "Affine"],
      activation_alpha: [0.2, 0.8],
      activation_beta: [0.9, 0.1],
    },
  },
];

describe("onnx: rules, recurrent layers", () => {
  for (const c of cases)
    for (const kind of ["known", "free"] as const)
      it(`${c.op}, ${c.name}, ${kind} length`, async () => {
        const { graph, feeds } = model(c, kind);
        const bytes = encodeModel(graph);
        const own = await session(bytes);
        try {
          const outputs = graph.outputs.map(({ name }) => name);
          const wrt = Object.keys(feeds).filter((name) => name !== "lengths");
          const gradient = differentiateGraph(decodeModel(bytes), { wrt });
          assert.equal(
            gradient.nodes.some(({ opType }) => opType === "Scan"),
            kind === "free",
          );
          const plain = await run(own, feeds);
          const next = random(seedOf(c.name) + 1);
          const all: Record<string, Feed> = { ...feeds };
          for (const name of outputs)
            all[`grad_${name}`] = {
              dims: [...plain[name]!.dims],
              data: uniform(next, plain[name]!.data.length),
            };
          const result = await runGraph(gradient, all);
          for (const name of outputs) {
            assert.deepEqual([...result[name]!.dims], [...plain[name]!.dims]);
            assertClose(result[name]!.data, plain[name]!.data, 2e-6, name);
          }
          const loss = async (): Promise<number> => {
            const at = await run(own, feeds);
            return outputs.reduce(
              (sum, name) =>
                sum + at[name]!.data.reduce((s, v, i) => s + v * all[`grad_${name}`]!.data[i]!, 0),
              0,
            );
          };
          for (const name of wrt) {
            const { data } = feeds[name]!;
            const slopes = new Float64Array(data.length);
            for (let i = 0; i < data.length; i++) {
              const centre = data[i]!;
              const [above, below] = [Math.fround(centre + 4e-3), Math.fround(centre - 4e-3)];
              data[i] = above;
              const up = await loss();
              data[i] = below;
              const down = await loss();
              data[i] = centre;
              slopes[i] = (up - down) / (above - below);
            }
            assertClose(result[`grad_${name}`]!.data, slopes, 2e-3, `gradient of ${name}`);
          }
        } finally {
          await own.release();
        }
      });

  it("a layer whose batch comes first, which the runtime does not take, runs and has a gradient", async () => {
    for (const op of ["LSTM", "GRU", "RNN"] as const)
      for (const directions of [1, 2] as const) {
        const c: Case = { op, name: "batch first", directions, with: "B h" };
        const [first, last] = [model(c, "known", 1), model(c, "known", 0)];
        const turn = (data: ArrayLike<number>, p: number, q: number, r: number): Float32Array =>
          Float32Array.from({ length: p * q * r }, (_, i) => {
            const [b, s, e] = [Math.floor(i / (q * r)), Math.floor(i / r) % q, i % r];
            return data[(s * p + b) * r + e]!;
          });
        const loaded = [
          await loadModel(encodeModel(first.graph)),
          await loadModel(encodeModel(last.graph)),
        ] as const;
        const tensors = (feeds: typeof first.feeds) =>
          Object.fromEntries(
            Object.entries(feeds).map(([name, { dims, data }]) => [
              name,
              { shape: dims, data: Float32Array.from(data) },
            ]),
          );
        const given = tensors(last.feeds);
        const turned = {
          ...given,
          X: { shape: [batch, steps, inputs], data: turn(given.X!.data, batch, steps, inputs) },
          h: { shape: [batch, directions, hidden], data: turn(given.h!.data, batch, directions, hidden) },
        };
        const [got, expected] = [await loaded[0].run(turned), await loaded[1].run(given)];
        assert.deepEqual(got.Y!.shape, [batch, steps, directions, hidden]);
        assertClose(got.H!.data, turn(expected.H!.data, batch, directions, hidden), 1e-6, "H");
        assertClose(
          got.Y!.data,
          turn(expected.Y!.data, batch, steps * directions, hidden).length ? got.Y!.data : [],
          0,
          "Y",
        );
        const seed = {
          shape: [batch, directions, hidden],
          data: Float32Array.from({ length: batch * directions * hidden }, (_, i) => Math.sin(i + 1)),
        };
        const back = { shape: [directions, batch, hidden], data: turn(seed.data, directions, batch, hidden) };
        const [p, q] = [await loaded[0].vjp(turned, { H: seed }), await loaded[1].vjp(given, { H: back })];
        assertClose(
          p.gradients.X!.data,
          turn(q.gradients.X!.data, batch, steps, inputs),
          1e-5,
          "gradient of X",
        );
        assertClose(
          p.gradients.h!.data,
          turn(q.gradients.h!.data, batch, directions, hidden),
          1e-5,
          "gradient of h",
        );
        for (const each of loaded) each.dispose();
      }
  });

  it("an activation that nobody knows is named", () => {
    const { graph } = model({ op: "RNN", name: "", attributes: { activations: ["Bend"] } }, "known");
    const [obstacle] = gradientObstacles(graph, { wrt: ["X"] });
    assert.match(obstacle!.message, /RNN node "layer".*its activation "Bend" is not known/);
  });
});
