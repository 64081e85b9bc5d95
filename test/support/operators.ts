/** What the tests of lib/onnx share: seeded data, one-operator models, runs in ONNX Runtime, finite differences. */
import assert from "node:assert/strict";
import { InferenceSession, Tensor } from "onnxruntime-node";
import {
  Builder,
  DataType,
  decodeModel,
  differentiateGraph,
  emptyGraph,
  encodeModel,
  upgradeGraph,
  type Dim,
  type Graph,
} from "../../lib/onnx/index.js";
import { float32Only } from "./float32-only.js";
import { random, seedOf, uniform } from "./numbers.js";

export function size(dims: readonly number[]): number {
  return dims.reduce((p, q) => p * q, 1);
}

/** Shuffled odd multiples of 0.05: no two are nearer than 0.1, none nearer than 0.05 to zero. */
export function spaced(next: () => number, count: number): Float64Array {
  const values = Float64Array.from({ length: count }, (_, i) => (2 * (i - Math.floor(count / 2)) + 1) * 0.05);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [values[i], values[j]] = [values[j]!, values[i]!];
  }
  return values;
}

export interface Feed {
  dims: number[];
  data: ArrayLike<number>;
  type?: "float32" | "float64" | "int64" | "bool" | "int32";
}

export async function session(graph: Graph | Uint8Array, threads = 1): Promise<InferenceSession> {
  const bytes = graph instanceof Uint8Array ? graph : encodeModel(graph);
  return InferenceSession.create(bytes, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  });
}

export function toTensor({ dims, data, type = "float32" }: Feed): Tensor {
  if (type === "float64") return new Tensor("float64", Float64Array.from(data), dims);
  if (type === "int64")
    return new Tensor(
      "int64",
      BigInt64Array.from(Array.from(data), (x) => BigInt(x)),
      dims,
    );
  if (type === "int32") return new Tensor("int32", Int32Array.from(data), dims);
  if (type === "bool") return new Tensor("bool", Uint8Array.from(data), dims);
  return new Tensor("float32", Float32Array.from(data), dims);
}

/** The first `rows` rows. */
export function head(feed: Feed, rows: number): Feed {
  const row = feed.data.length / feed.dims[0]!;
  return { ...feed, dims: [rows, ...feed.dims.slice(1)], data: Array.from(feed.data).slice(0, rows * row) };
}

export type Results = Record<string, { dims: readonly number[]; data: Float64Array }>;

/** Feeds only what the session takes. */
export async function run(
  s: InferenceSession,
  feeds: Record<string, Feed>,
  options: InferenceSession.RunOptions = {},
): Promise<Results> {
  const given = Object.fromEntries(s.inputNames.map((name) => [name, toTensor(feeds[name]!)]));
  const out = await s.run(given, options);
  return Object.fromEntries(
    Object.entries(out).map(([name, value]) => [
      name,
      { dims: value.dims, data: Float64Array.from(value.data as ArrayLike<number | bigint>, Number) },
    ]),
  );
}

export async function runGraph(graph: Graph | Uint8Array, feeds: Record<string, Feed>): Promise<Results> {
  const s = await session(graph);
  try {
    return await run(s, feeds);
  } finally {
    await s.release();
  }
}

/** Fails on NaN too. */
export function assertClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what: string,
): void {
  assert.equal(actual.length, expected.length, `${what}: number of elements`);
  let scale = 1;
  for (let i = 0; i < expected.length; i++)
    if (Number.isFinite(expected[i])) scale = Math.max(scale, Math.abs(expected[i]!));
  for (let i = 0; i < expected.length; i++)
    assert.ok(
      actual[i] === expected[i] || Math.abs(actual[i]! - expected[i]!) <= tolerance * scale,
      `${what}: element ${i} is ${actual[i]}, expected ${expected[i]} ± ${tolerance * scale}`,
    );
}

/** ‖actual − expected‖ ≤ tolerance · ‖expected‖. Fails on NaN too. */
export function assertRelative(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what: string,
): void {
  assert.equal(actual.length, expected.length, `${what}: number of elements`);
  let [difference, norm] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i]! - expected[i]!) ** 2;
    norm += expected[i]! ** 2;
  }
  const error = Math.sqrt(difference / norm);
  assert.ok(error <= tolerance, `${what}: relative error ${error}, expected at most ${tolerance}`);
}

export interface InputSpec {
  /** "batch" is run as 1 and 3. */
  dims: Dim[];
  /** Default: spaced values. A function gets the generator and the number of elements. */
  values?: (next: () => number, count: number) => ArrayLike<number>;
  type?: "float32" | "float64" | "int64" | "bool" | "int32";
  /** Not differentiated. */
  fixed?: boolean;
}

export interface Case {
  name: string;
  /** Whether to count in float32. Default: only where the runtime has no float64 (float32-only.ts). */
  single?: boolean;
  /** Default: the oldest or the newest operator set that the rules see, in turn. */
  opset?: number;
  inputs: Record<string, InputSpec>;
  /** Builds the model and returns its outputs. */
  build: (b: Builder, inputs: Record<string, string>, float: number) => string | string[];
  /** Step of the finite difference and tolerance, when the defaults do not fit. */
  step?: number;
  tolerance?: number;
  /** Tolerance of the gradient of the gradient; default ten times `tolerance`. */
  secondTolerance?: number;
  /** Whether the gradient of the gradient is left out. */
  once?: boolean;
  /** Whether the runtime has its kernel in float64 only, so that forms for GPUs have nothing to be compared with. */
  double?: boolean;
  /** Number of batch sizes tried; default [1, 3]. */
  batches?: number[];
}

/** The newest operator set that the pinned ONNX Runtime reads. */
export const newestOpset = 26;

const elemTypes = { float32: 1, float64: 11, int64: 7, bool: 9, int32: 6 } as const;

/**
 * Differentiates the model, runs it at several batch sizes and holds every input's adjoint to central finite
 * differences of Σ cotangent · output. Then the same for the gradient as a model of its own, with its seeds as further
 * inputs: what the rules emit has rules, and they are right.
 */
export async function checkGradient(spec: Case): Promise<void> {
  if (!spec.double) await checkTargets(spec);
  const kind = (spec.single ?? needsSingle(spec)) ? "float32" : "float64";
  const single = kind === "float32";
  const b = buildCase(spec, kind);
  const outputs = b.graph.outputs.map(({ name }) => name);
  const wrt = Object.keys(spec.inputs).filter(
    (name) => !spec.inputs[name]!.fixed && !spec.inputs[name]!.type,
  );
  const symbolic = Object.values(spec.inputs).some((input) => input.dims.includes("batch"));
  const points = (symbolic ? (spec.batches ?? [1, 3]) : [1]).map((batch): Point => {
    const next = random(seedOf(spec.name) + batch);
    const feeds: Point["feeds"] = {};
    for (const [name, input] of Object.entries(spec.inputs)) {
      const dims = input.dims.map((dim) => (typeof dim === "number" ? dim : batch));
      const data = (input.values ?? spaced)(next, size(dims));
      feeds[name] = { dims, data: Float64Array.from(data), type: input.type ?? kind };
    }
    return { name: `${spec.name} at batch ${batch}`, next, feeds };
  });
  const tolerance = spec.tolerance ?? (single ? 2e-3 : 1e-6);
  const step = spec.step ?? (single ? 1e-2 : 1e-4);
  const model = { graph: decodeModel(encodeModel(b.graph)), wrt, outputs, kind, step } as const;
  const gradient = await checkOrder({ ...model, tolerance, directions: "each", prefix: "grad_" }, points);
  if (spec.once) return;
  const second = {
    ...model,
    graph: decodeModel(encodeModel(gradient)),
    wrt: [...wrt, ...outputs.map((name) => `grad_${name}`)],
    outputs: wrt.map((name) => `grad_${name}`),
    tolerance: spec.secondTolerance ?? 10 * tolerance,
  };
  await checkOrder({ ...second, directions: 3, prefix: "second_" }, points);
}

/**
 * The forms for GPUs compute, on the CPU, what the CPU's form computes: outputs and gradients. What no target changes is not
 * run again.
 */
async function checkTargets(spec: Case): Promise<void> {
  const { graph } = buildCase(spec, "float32");
  const wrt = Object.keys(spec.inputs).filter(
    (name) => !spec.inputs[name]!.fixed && !spec.inputs[name]!.type,
  );
  const options = { wrt, outputs: graph.outputs.map(({ name }) => name) };
  const plain = differentiateGraph(graph, options);
  let expected: Results | undefined;
  const next = random(seedOf(spec.name) + 7);
  const feeds: Record<string, Feed> = {};
  for (const [name, input] of Object.entries(spec.inputs)) {
    const dims = input.dims.map((dim) => (typeof dim === "number" ? dim : 3));
    feeds[name] = { dims, data: (input.values ?? spaced)(next, size(dims)), type: input.type ?? "float32" };
  }
  for (const target of ["cuda", "webgpu"] as const) {
    const formed = differentiateGraph(graph, { ...options, target });
    const lowered = formed.opsets.get("")!;
    const same = { ...formed, opsets: plain.opsets, irVersion: plain.irVersion };
    if (Buffer.from(encodeModel(same)).equals(encodeModel(plain))) continue;
    if (!expected) {
      const outputs = await runGraph(graph, feeds);
      for (const [name, { dims, data }] of Object.entries(outputs))
        feeds[`grad_${name}`] = { dims: [...dims], data: uniform(next, data.length, -1, 1) };
      expected = await runGraph(plain, feeds);
    }
    const got = await runGraph(formed, feeds);
    for (const [name, { dims, data }] of Object.entries(expected)) {
      const what = `${spec.name} for ${target} at operator set ${lowered}: ${name}`;
      assert.deepEqual([...got[name]!.dims], [...dims], what);
      assertClose(got[name]!.data, data, 1e-5, what);
    }
  }
}

/** The model, its outputs called y0, y1, … */
function buildCase(spec: Case, kind: "float32" | "float64"): Builder {
  const opset = spec.opset ?? (seedOf(spec.name) % 2 ? 18 : newestOpset);
  const b = new Builder(upgradeGraph(emptyGraph("case", opset)));
  const names: Record<string, string> = {};
  for (const [name, input] of Object.entries(spec.inputs))
    names[name] = b.input(name, elemTypes[input.type ?? kind], input.dims);
  const built = spec.build(b, names, elemTypes[kind]);
  (Array.isArray(built) ? built : [built]).forEach((value, i) => b.output(`y${i}`, value));
  return b;
}

/** Whether an operator of the case has no float64. */
function needsSingle(spec: Case): boolean {
  const { graph } = buildCase(spec, "float64");
  return graph.nodes.some(({ opType }) => float32Only(opType, graph.opsets.get("")!) !== null);
}

/** Where a model is differentiated. */
interface Point {
  name: string;
  next: () => number;
  feeds: Record<string, Feed & { data: Float64Array }>;
}

interface Order {
  graph: Graph;
  wrt: readonly string[];
  outputs: readonly string[];
  kind: "float32" | "float64";
  step: number;
  tolerance: number;
  /** Finite differences along each coordinate of each input, or along some random directions. */
  directions: "each" | number;
  prefix: string;
}

/** Adds the cotangents to the points and returns the gradient without the model's own outputs. */
async function checkOrder(order: Order, points: readonly Point[]): Promise<Graph> {
  const { graph, wrt, outputs, kind, prefix } = order;
  const options = { wrt: [...wrt], outputs: [...outputs], prefix };
  const gradient = differentiateGraph(graph, options);
  const forward = await session(graph);
  const backward = await session(gradient);
  try {
    for (const { name: what, next, feeds } of points) {
      const plain = await run(forward, feeds);
      for (const name of outputs) {
        const { dims, data } = plain[name]!;
        const cotangent = uniform(next, data.length, 0.2, 1).map((v, i) => (i % 2 ? v : -v));
        feeds[`${prefix}${name}`] = { dims: [...dims], data: cotangent, type: kind };
      }
      const result = await run(backward, feeds);
      for (const name of outputs)
        assertClose(result[name]!.data, plain[name]!.data, 1e-6, `${what}: output ${name}`);
      for (const name of wrt)
        assert.deepEqual([...result[`${prefix}${name}`]!.dims], feeds[name]!.dims, `${what}: grad_${name}`);
      const loss = async (): Promise<number> => {
        const at = await run(forward, feeds);
        let sum = 0;
        for (const name of outputs)
          at[name]!.data.forEach((v, i) => (sum += v * feeds[`${prefix}${name}`]!.data[i]!));
        return sum;
      };
      if (order.directions === "each") await checkEach(order, what, feeds, result, loss);
      else
        for (let i = 0; i < order.directions; i++)
          await checkDirection(order, what, next, feeds, result, loss);
    }
  } finally {
    await forward.release();
    await backward.release();
  }
  return differentiateGraph(graph, { ...options, keepOutputs: false });
}

async function checkEach(
  { wrt, kind, step, tolerance, prefix }: Order,
  what: string,
  feeds: Point["feeds"],
  result: Results,
  loss: () => Promise<number>,
): Promise<void> {
  const stored = (value: number): number => (kind === "float32" ? Math.fround(value) : value);
  for (const name of wrt) {
    const { data } = feeds[name]!;
    const expected = new Float64Array(data.length);
    for (let i = 0; i < data.length; i++) {
      const centre = data[i]!;
      data[i] = stored(centre + step);
      const [up, above] = [await loss(), data[i]!];
      data[i] = stored(centre - step);
      const [down, below] = [await loss(), data[i]!];
      data[i] = centre;
      expected[i] = (up - down) / (above - below);
    }
    assertClose(result[`${prefix}${name}`]!.data, expected, tolerance, `${what}: grad_${name}`);
  }
}

/** All inputs at once, so that mixed derivatives are seen too. */
async function checkDirection(
  { wrt, step, tolerance, prefix }: Order,
  what: string,
  next: () => number,
  feeds: Point["feeds"],
  result: Results,
  loss: () => Promise<number>,
): Promise<void> {
  const centres = new Map(wrt.map((name) => [name, feeds[name]!.data]));
  const directions = new Map(wrt.map((name) => [name, uniform(next, centres.get(name)!.length)]));
  const move = (by: number): void => {
    for (const name of wrt)
      feeds[name]!.data = centres.get(name)!.map((v, i) => v + by * directions.get(name)![i]!);
  };
  move(step);
  const up = await loss();
  move(-step);
  const down = await loss();
  for (const name of wrt) feeds[name]!.data = centres.get(name)!;
  let [actual, scale] = [0, 1];
  for (const name of wrt)
    result[`${prefix}${name}`]!.data.forEach((v, i) => {
      const term = v * directions.get(name)![i]!;
      actual += term;
      scale = Math.max(scale, Math.abs(term));
    });
  assertClose([actual / scale], [(up - down) / (2 * step * scale)], tolerance, `${what}: second derivative`);
}

/** A tensor as scripts/fixtures/onnx/make.py writes it. */
export interface Packed {
  dims: number[];
  type: "float32" | "int64" | "bool";
  data: string;
}

/** What make.py knows of one network. */
export interface Expected {
  inputs: Record<string, Packed>;
  output: Packed;
  seed: Packed;
  gradients: Record<string, Packed>;
}

export function unpack({ dims, type, data }: Packed): Feed {
  const bytes = Uint8Array.from(Buffer.from(data, "base64"));
  if (type !== "float32") return { dims, type, data: Array.from(new BigInt64Array(bytes.buffer), Number) };
  return { dims, type, data: new Float32Array(bytes.buffer) };
}

export { DataType };
