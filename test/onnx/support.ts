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
  type Dim,
  type Graph,
} from "../../lib/onnx/index.js";

/** mulberry32: small, seeded, the same everywhere. Values in [0, 1). */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A seed from a text, so that a test's data depend on its name and not on the order of tests. */
export function seedOf(text: string): number {
  let hash = 2166136261;
  for (const char of text) hash = Math.imul(hash ^ char.codePointAt(0)!, 16777619);
  return hash >>> 0;
}

export function size(dims: readonly number[]): number {
  return dims.reduce((p, q) => p * q, 1);
}

/** Uniform in [low, high). */
export function uniform(next: () => number, count: number, low = -1, high = 1): Float64Array {
  return Float64Array.from({ length: count }, () => low + (high - low) * next());
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

export async function session(graph: Graph | Uint8Array): Promise<InferenceSession> {
  const bytes = graph instanceof Uint8Array ? graph : encodeModel(graph);
  return InferenceSession.create(bytes, { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3 });
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

export type Results = Record<string, { dims: readonly number[]; data: Float64Array }>;

/** Feeds only what the session takes. */
export async function run(s: InferenceSession, feeds: Record<string, Feed>): Promise<Results> {
  const given = Object.fromEntries(s.inputNames.map((name) => [name, toTensor(feeds[name]!)]));
  const out = await s.run(given);
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
  for (let i = 0; i < expected.length; i++) scale = Math.max(scale, Math.abs(expected[i]!));
  for (let i = 0; i < expected.length; i++)
    assert.ok(
      Math.abs(actual[i]! - expected[i]!) <= tolerance * scale,
      `${what}: element ${i} is ${actual[i]}, expected ${expected[i]} ± ${tolerance * scale}`,
    );
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
  /** float64 where ONNX Runtime has the kernels (default), else float32. */
  single?: boolean;
  opset?: number;
  inputs: Record<string, InputSpec>;
  /** Builds the model and returns its outputs. */
  build: (b: Builder, inputs: Record<string, string>, float: number) => string | string[];
  /** Step of the finite difference and tolerance, when the defaults do not fit. */
  step?: number;
  tolerance?: number;
  /** Number of batch sizes tried; default [1, 3]. */
  batches?: number[];
}

const elemTypes = { float32: 1, float64: 11, int64: 7, bool: 9, int32: 6 } as const;

/**
 * Differentiates the model, runs it at several batch sizes and holds every input's adjoint to central finite
 * differences of Σ cotangent · output.
 */
export async function checkGradient(spec: Case): Promise<void> {
  const kind = spec.single ? "float32" : "float64";
  const float = elemTypes[kind];
  const b = new Builder(emptyGraph("case", spec.opset ?? 18));
  const names: Record<string, string> = {};
  for (const [name, input] of Object.entries(spec.inputs))
    names[name] = b.input(name, elemTypes[input.type ?? kind], input.dims);
  const built = spec.build(b, names, float);
  const outputs = (Array.isArray(built) ? built : [built]).map((value, i) => {
    b.output(`y${i}`, value);
    return `y${i}`;
  });
  const wrt = Object.keys(spec.inputs).filter(
    (name) => !spec.inputs[name]!.fixed && !spec.inputs[name]!.type,
  );
  const graph = decodeModel(encodeModel(b.graph));
  const gradient = differentiateGraph(graph, { wrt, outputs });
  const forward = await session(graph);
  const backward = await session(gradient);
  try {
    const symbolic = Object.values(spec.inputs).some((input) => input.dims.includes("batch"));
    for (const batch of symbolic ? (spec.batches ?? [1, 3]) : [1]) {
      const next = random(seedOf(spec.name) + batch);
      const feeds: Record<string, Feed> = {};
      for (const [name, input] of Object.entries(spec.inputs)) {
        const dims = input.dims.map((dim) => (typeof dim === "number" ? dim : batch));
        const data = (input.values ?? spaced)(next, size(dims));
        feeds[name] = { dims, data: Float64Array.from(data), type: input.type ?? kind };
      }
      const plain = await run(forward, feeds);
      const cotangents = Object.fromEntries(
        outputs.map((name) => [
          name,
          uniform(next, plain[name]!.data.length, 0.2, 1).map((v, i) => (i % 2 ? v : -v)),
        ]),
      );
      for (const name of outputs)
        feeds[`grad_${name}`] = { dims: [...plain[name]!.dims], data: cotangents[name]!, type: kind };
      const result = await run(backward, feeds);
      for (const name of outputs)
        assertClose(
          result[name]!.data,
          plain[name]!.data,
          1e-6,
          `${spec.name}: output ${name} at batch ${batch}`,
        );
      const loss = async (): Promise<number> => {
        const at = await run(forward, feeds);
        let sum = 0;
        for (const name of outputs) at[name]!.data.forEach((v, i) => (sum += v * cotangents[name]![i]!));
        return sum;
      };
      const step = spec.step ?? (spec.single ? 1e-2 : 1e-4);
      for (const name of wrt) {
        const data = feeds[name]!.data as Float64Array;
        const expected = new Float64Array(data.length);
        for (let i = 0; i < data.length; i++) {
          const centre = data[i]!;
          data[i] = centre + step;
          const [up, above] = [await loss(), kind === "float32" ? Math.fround(centre + step) : centre + step];
          data[i] = centre - step;
          const [down, below] = [
            await loss(),
            kind === "float32" ? Math.fround(centre - step) : centre - step,
          ];
          data[i] = centre;
          expected[i] = (up - down) / (above - below);
        }
        const actual = result[`grad_${name}`]!;
        assert.deepEqual([...actual.dims], feeds[name]!.dims, `${spec.name}: shape of grad_${name}`);
        const tolerance = spec.tolerance ?? (spec.single ? 2e-3 : 1e-6);
        assertClose(actual.data, expected, tolerance, `${spec.name}: grad_${name} at batch ${batch}`);
      }
    }
  } finally {
    await forward.release();
    await backward.release();
  }
}

/** A tensor as scripts/fixtures/onnx/make.py writes it. */
interface Packed {
  dims: number[];
  type: "float32" | "int64";
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
  if (type === "int64") return { dims, type, data: Array.from(new BigInt64Array(bytes.buffer), Number) };
  return { dims, type, data: new Float32Array(bytes.buffer) };
}

export { DataType };
