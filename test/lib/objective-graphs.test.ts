import assert from "node:assert/strict";
import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import type { EncoderKind } from "../../lib/objective/encoder-kind.js";
import { flatten, type ConditionKind } from "../../lib/objective/energy.js";
import { conditionGraph } from "../../lib/objective/condition-graph.js";
import { energyGraph } from "../../lib/objective/energy-graph.js";
import { stageGraph } from "../../lib/objective/stage-graphs.js";
import { lastOperator } from "../../lib/onnx/queries.js";
import { energy, stage, type Energy, type Stage } from "../../lib/index.js";
import {
  Builder,
  DataType,
  compose,
  decodeModel,
  differentiateGraph,
  emptyGraph,
  encodeModel,
  type Graph,
} from "../../lib/onnx/index.js";
import { close, rejects, tinyEncoder } from "../support/tiny.js";
import { numbers } from "../support/numbers.js";

interface Feed {
  data: Float32Array;
  shape: readonly number[];
}

/** Runs a graph in ONNX Runtime. */
async function run(graph: Graph, feeds: Record<string, Feed>): Promise<Record<string, Feed>> {
  const session = await InferenceSession.create(encodeModel(graph), {
    logSeverityLevel: 3,
    intraOpNumThreads: 1,
  });
  const inputs = Object.entries(feeds).map(
    ([name, { data, shape }]) =>
      [name, new OrtTensor("float32", Float32Array.from(data), [...shape])] as const,
  );
  const results = await session.run(Object.fromEntries(inputs));
  await session.release();
  return Object.fromEntries(
    Object.entries(results).map(([name, value]) => [
      name,
      { data: value.data as Float32Array, shape: value.dims },
    ]),
  );
}

const row = (data: ArrayLike<number>, i: number, size: number): number[] =>
  Array.from({ length: size }, (_, j) => data[i * size + j]!);
const dot = (a: number[], b: number[]): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
const logSoftmax = (x: number[]): number[] => {
  const top = Math.max(...x);
  const log = top + Math.log(x.reduce((sum, v) => sum + Math.exp(v - top), 0));
  return x.map((v) => v - log);
};

/** The energies in float64, by their definitions. */
const formulas: Record<string, (f: number[], c: number[]) => number> = {
  crossEntropy: (f, c) => -dot(c, logSoftmax(f)),
  cosine: (f, c) => -dot(c, f) / Math.sqrt(dot(f, f)), // c as given: conditions come normalised, their sums do not
  squaredError: (f, c) => f.reduce((sum, x, i) => sum + (c[i]! - x) ** 2, 0),
};

const n = 5;
const m = 6;
const output = numbers(1, n * m, -3, 3);
/** Rows that are distributions, so that they suit every energy. */
const conditions = numbers(2, n * m, 0, 1);
for (let i = 0; i < n; i++) {
  const values = conditions.subarray(i * m, (i + 1) * m);
  const sum = values.reduce((p, q) => p + q);
  values.forEach((value, j) => (values[j] = value / sum));
}
const feeds = (shape: number[] = [n, m]) => ({
  output: { data: output, shape },
  condition: { data: conditions, shape: [n, m] },
});
const simple: [string, Energy][] = [
  ["crossEntropy", energy.crossEntropy()],
  ["cosine", energy.cosine()],
  ["squaredError", energy.squaredError()],
];

describe("energies as graphs", () => {
  for (const [name, made] of simple) {
    it(`${name}: is what its formula says, for any shape of the output`, async () => {
      const expected = Array.from({ length: n }, (_, i) =>
        formulas[name]!(row(output, i, m), row(conditions, i, m)),
      );
      for (const shape of [
        [n, m],
        [n, 2, 3],
        [n, m, 1, 1],
      ]) {
        const graph = energyGraph(flatten(made), ["batch", ...shape.slice(1)], m, "logits");
        const { energy: got } = await run(graph, feeds(shape));
        assert.deepEqual(got!.shape, [n]);
        close(got!.data, expected, 2e-5, name);
      }
    });

    it(`${name}: its gradient agrees with finite differences of the formula, row by row`, async () => {
      const graph = energyGraph(flatten(made), ["batch", m], m, "logits");
      const gradient = differentiateGraph(graph, { wrt: ["output"], outputs: ["energy"], seed: "ones" });
      const { grad_output: got } = await run(gradient, feeds());
      const h = 1e-5;
      for (let i = 0; i < n; i++)
        for (let j = 0; j < m; j++) {
          const at = (d: number): number => {
            const f = row(output, i, m);
            f[j]! += d;
            return formulas[name]!(f, row(conditions, i, m));
          };
          close([got!.data[i * m + j]!], [(at(h) - at(-h)) / (2 * h)], 1e-4, `${name} gradient`);
        }
    });
  }

  it("crossEntropy takes probabilities as they are and survives zeros among them", async () => {
    const p = numbers(3, n * m, 0, 1);
    p[0] = 0;
    const graph = energyGraph(flatten(energy.crossEntropy()), ["batch", m], m, "probabilities");
    const { energy: got } = await run(graph, { ...feeds(), output: { data: p, shape: [n, m] } });
    const expected = Array.from(
      { length: n },
      (_, i) =>
        -dot(
          row(conditions, i, m),
          row(p, i, m).map((x) => Math.log(Math.max(x, 1e-12))),
        ),
    );
    close(got!.data, expected, 1e-4);
  });

  it("cosine is finite with a finite gradient where the output vanishes", async () => {
    const graph = energyGraph(flatten(energy.cosine()), ["batch", m], m, "logits");
    const gradient = differentiateGraph(graph, { wrt: ["output"], outputs: ["energy"], seed: "ones" });
    const got = await run(gradient, { ...feeds(), output: { data: new Float32Array(n * m), shape: [n, m] } });
    assert.ok([...got["energy"]!.data, ...got["grad_output"]!.data].every(Number.isFinite));
  });

  it("sums are weighted, prior terms left out, and the batch stays symbolic", async () => {
    const whole = energy.sum([energy.cosine(), -2], energy.squaredError(), energy.prior(7));
    const graph = energyGraph(flatten(whole), ["batch", m], m, "logits");
    assert.equal(typeof graph.outputs[0]!.dims?.[0], "string");
    const { energy: got } = await run(graph, feeds());
    const expected = Array.from({ length: n }, (_, i) => {
      const [f, c] = [row(output, i, m), row(conditions, i, m)];
      return (-2 * formulas["cosine"]!(f, c)) / Math.sqrt(dot(c, c)) + formulas["squaredError"]!(f, c);
    });
    close(got!.data, expected, 2e-5);
  });

  /** An energy of a user: E = Σ_j f_j · c_j over all features, as [N, 1] or [N]. */
  function own(
    options: { keep?: boolean; inputs?: [string, string]; extra?: boolean; size?: number } = {},
  ): Uint8Array {
    const [first, second] = options.inputs ?? ["output", "condition"];
    const size = options.size ?? m;
    const b = new Builder(emptyGraph("own"));
    const f = b.input(first, DataType.FLOAT, ["N", size]);
    const c = b.input(second, DataType.FLOAT, ["N", size]);
    b.output("part_0", b.sum(b.op("Mul", [f, c]), [1], options.keep ?? false));
    if (options.extra) b.output("more", f);
    return encodeModel(b.graph);
  }

  for (const keep of [false, true])
    it(`fromOnnx: stands alone and in sums, giving [N${keep ? ", 1" : ""}]`, async () => {
      const bytes = own({ keep });
      const product = Array.from({ length: n }, (_, i) => dot(row(output, i, m), row(conditions, i, m)));
      const alone = energyGraph(flatten(energy.fromOnnx(bytes)), ["batch", m], m, "logits");
      const got = await run(alone, feeds());
      assert.deepEqual(Object.keys(got), ["energy"]);
      assert.deepEqual(got["energy"]!.shape, [n]);
      close(got["energy"]!.data, product, 1e-5);
      const sum = energy.sum([energy.fromOnnx(bytes), 3], energy.squaredError(), [
        energy.fromOnnx(bytes),
        -1,
      ]);
      const graph = energyGraph(flatten(sum), ["batch", m], m, "logits");
      const squares = product.map((_, i) =>
        formulas["squaredError"]!(row(output, i, m), row(conditions, i, m)),
      );
      close(
        (await run(graph, feeds()))["energy"]!.data,
        product.map((p, i) => 2 * p + squares[i]!),
        1e-4,
      );
      const gradient = differentiateGraph(graph, { wrt: ["output"], outputs: ["energy"], seed: "ones" });
      const expected = Array.from(output, (f, i) => 2 * conditions[i]! - 2 * (conditions[i]! - f));
      close((await run(gradient, feeds()))["grad_output"]!.data, expected, 1e-4);
    });

  it("fromOnnx: says what is wrong with its inputs, outputs, sizes and bytes", async () => {
    const make = (bytes: Uint8Array) => () =>
      energyGraph(flatten(energy.fromOnnx(bytes)), ["batch", m], m, "logits");
    await rejects(
      make(own({ inputs: ["x", "condition"] })),
      "ERR_INVALID_ARGUMENT",
      /"output" and "condition", got "x", "condition"/,
    );
    await rejects(make(own({ extra: true })), "ERR_INVALID_ARGUMENT", /one output, got 2/);
    await rejects(make(own({ size: m + 1 })), "ERR_SHAPE_MISMATCH", /fromOnnx term 1/);
    await rejects(make(Uint8Array.of(1, 2, 3)), "ERR_MODEL_INVALID", /fromOnnx term 1/);
  });
});

describe("conditions as graphs", () => {
  const normalised = (p: number[]): number[] => p.map((x) => x / p.reduce((sum, y) => sum + y));
  const kinds: [ConditionKind, EncoderKind, (f: number[]) => number[]][] = [
    ["probabilities", "logits", (f) => logSoftmax(f).map(Math.exp)],
    ["probabilities", "probabilities", (f) => normalised(f.map((x) => Math.max(x, 0)))],
    ["probabilities", "log-probabilities", (f) => normalised(f.map(Math.exp))],
    ["unit", "embedding", (f) => f.map((x) => x / Math.sqrt(dot(f, f)))],
    ["raw", "embedding", (f) => f],
  ];
  for (const [kind, meaning, formula] of kinds)
    it(`${kind} of ${meaning}`, async () => {
      const graph = conditionGraph(["batch", 2, 3], kind, meaning);
      const data = meaning === "probabilities" ? output.map(Math.abs) : output;
      const { condition } = await run(graph, { output: { data, shape: [n, 2, 3] } });
      assert.deepEqual(condition!.shape, [n, m]);
      for (let i = 0; i < n; i++) close(row(condition!.data, i, m), formula(row(data, i, m)), 1e-6, kind);
    });

  it("scalars a row become columns", async () => {
    const graph = conditionGraph(["batch"], "raw", "embedding");
    const { condition } = await run(graph, { output: { data: Float32Array.of(1, 2), shape: [2] } });
    assert.deepEqual(condition, { data: Float32Array.of(1, 2), shape: [2, 1] });
  });
});

describe("stages as graphs", () => {
  const image = { data: numbers(5, 2 * 3 * 3 * 5), shape: [2, 3, 3, 5] };

  /** PyTorch's `interpolate(mode="bilinear", align_corners=False)`. */
  function bilinear(data: ArrayLike<number>, [H, W]: [number, number], [h, w]: [number, number]): number[] {
    const source = (i: number, from: number, to: number): [number, number, number] => {
      const x = Math.max(0, ((i + 0.5) * from) / to - 0.5);
      const low = Math.min(Math.floor(x), from - 1);
      return [low, Math.min(low + 1, from - 1), x - low];
    };
    const out: number[] = [];
    for (let plane = 0; plane < data.length / (H * W); plane++)
      for (let i = 0; i < h; i++)
        for (let j = 0; j < w; j++) {
          const [top, bottom, v] = source(i, H, h);
          const [left, right, u] = source(j, W, w);
          const at = (y: number, x: number): number => data[plane * H * W + y * W + x]!;
          out.push(
            (1 - v) * ((1 - u) * at(top, left) + u * at(top, right)) +
              v * ((1 - u) * at(bottom, left) + u * at(bottom, right)),
          );
        }
    return out;
  }

  const perChannel = (f: (x: number, channel: number) => number): number[] =>
    Array.from(image.data, (x, i) => f(x, Math.floor(i / 15) % 3));
  const luma = [0, 1].flatMap((b) =>
    Array.from({ length: 15 }, (_, i) => {
      const at = (channel: number): number => image.data[(3 * b + channel) * 15 + i]!;
      return 0.299 * at(0) + 0.587 * at(1) + 0.114 * at(2);
    }),
  );
  const cases: [string, Stage, number[], number[]][] = [
    ["resize up", stage.resize(7, 8), [2, 3, 7, 8], bilinear(image.data, [3, 5], [7, 8])],
    ["resize down", stage.resize(2, 2), [2, 3, 2, 2], bilinear(image.data, [3, 5], [2, 2])],
    [
      "normalize",
      stage.normalize([0.1, 0.2, 0.3], 0.5),
      image.shape,
      perChannel((x, c) => (x - [0.1, 0.2, 0.3][c]!) / 0.5),
    ],
    ["scale", stage.scale(), image.shape, perChannel((x) => (x + 1) / 2)],
    ["affine by 1 and 0", stage.affine(1), image.shape, perChannel((x) => x)],
    ["clamp", stage.clamp(-0.5, 0.25), image.shape, perChannel((x) => Math.min(0.25, Math.max(-0.5, x)))],
    ["grayscale", stage.grayscale(), [2, 1, 3, 5], luma],
    [
      "clip",
      stage.clip({ size: 4 }),
      [2, 3, 4, 4],
      bilinear(image.data, [3, 5], [4, 4]).map((x, i) => {
        const c = Math.floor(i / 16) % 3;
        const mean = [0.48145466, 0.4578275, 0.40821073][c]!;
        return ((x + 1) / 2 - mean) / [0.26862954, 0.26130258, 0.27577711][c]!;
      }),
    ],
  ];
  for (const [name, made, shape, expected] of cases)
    it(`${name}: is what its formula says, and the batch stays symbolic`, async () => {
      const graph = stageGraph(made, ["batch", 3, 3, 5]);
      assert.deepEqual(graph.outputs[0]!.dims, ["batch", ...shape.slice(1)]);
      const { staged } = await run(graph, { image });
      assert.deepEqual(staged!.shape, shape);
      close(staged!.data, expected, 2e-6, name);
    });

  it("grayscale in three channels repeats one", async () => {
    const { staged } = await run(stageGraph(stage.grayscale(3), ["batch", 3, 3, 5]), { image });
    for (let b = 0; b < 2; b++)
      for (let c = 0; c < 3; c++)
        close(
          staged!.data.slice((3 * b + c) * 15, (3 * b + c + 1) * 15) as Float32Array,
          luma.slice(b * 15, b * 15 + 15),
          1e-6,
        );
  });

  it("grayscale takes images that are gray already", async () => {
    const gray = { data: image.data.slice(0, 30), shape: [2, 1, 3, 5] };
    const same = await run(stageGraph(stage.grayscale(), ["batch", 1, 3, 5]), { image: gray });
    assert.deepEqual([...same["staged"]!.data], [...gray.data]);
    const tripled = await run(stageGraph(stage.grayscale(3), ["batch", 1, 3, 5]), { image: gray });
    assert.deepEqual(tripled["staged"]!.shape, [2, 3, 3, 5]);
    for (let i = 0; i < 90; i++)
      assert.equal(tripled["staged"]!.data[i], gray.data[15 * Math.floor(i / 45) + (i % 15)]);
  });

  for (const made of [
    stage.resize(7, 8),
    stage.resize(2, 3, { mode: "cubic" }),
    stage.resize(5, 9, { mode: "nearest" }),
    stage.normalize([0.1, 0.2, 0.3], [1, 2, 3]),
    stage.grayscale(3),
    stage.clamp(-0.5, 0.5),
    stage.clip({ size: 4 }),
  ])
    it(`${made.kind}${"mode" in made ? ` ${made.mode}` : ""}: has a gradient that agrees with finite differences`, async () => {
      const first = stageGraph(made, ["batch", 3, 3, 5]);
      const staged = (await run(first, { image }))["staged"]!;
      const weights = numbers(9, staged.data.length);
      const gradient = differentiateGraph(first, { wrt: ["image"] });
      const got = (await run(gradient, { image, grad_staged: { data: weights, shape: staged.shape } }))[
        "grad_image"
      ]!;
      const h = 1e-2; // all but clamp are linear
      for (const i of [0, 7, 31, 44, 61, 89]) {
        const at = async (d: number): Promise<number> => {
          const data = Float32Array.from(image.data);
          data[i]! += d;
          const value = (await run(first, { image: { data, shape: image.shape } }))["staged"]!;
          return Array.from(weights).reduce((sum, w, j) => sum + w * value.data[j]!, 0);
        };
        close([got.data[i]!], [((await at(h)) - (await at(-h))) / (2 * h)], 5e-3, `${made.kind} at ${i}`);
      }
    });
});

describe("what an encoder ends in", () => {
  it("is seen through operators that only move numbers", () => {
    for (const last of ["Softmax", "LogSoftmax", "Sigmoid"] as const) {
      const graph = decodeModel(tinyEncoder({ last }));
      assert.equal(lastOperator(graph, "logits"), last);
      const b = new Builder(emptyGraph("squeeze"));
      b.output("y", b.reshape(b.input("x", DataType.FLOAT, ["batch", 3]), [-1, 3, 1]));
      assert.equal(lastOperator(compose(graph, b.graph, { x: "logits" }), "y"), last);
    }
    assert.equal(lastOperator(decodeModel(tinyEncoder()), "logits"), "MatMul");
    assert.equal(lastOperator(decodeModel(tinyEncoder()), "x"), null);
  });
});
