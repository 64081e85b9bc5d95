/** What the tests of lib share: seeded numbers, tiny models made on the spot, a folder to write to, error checks. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Tr0nError, type Tr0nErrorCode } from "../../lib/index.js";
import { Builder, DataType, emptyGraph, encodeModel, type Dim } from "../../lib/onnx/index.js";
import { numbers } from "./numbers.js";

export interface TinyOptions {
  /** Dimension of the batch: a symbol by default. */
  batch?: Dim;
  seed?: number;
  /** Shape of one latent. */
  latent?: number[];
  /** [C, H, W] */
  image?: [number, number, number];
  /** An operator without a gradient in the middle. */
  blocked?: boolean;
}

/** z → image = tanh(W z), [C, H, W] = [3, 4, 4] from 6 numbers. */
export function tinyGenerator(options: TinyOptions = {}): Uint8Array {
  const { batch = "batch", seed = 1, latent = [6], image = [3, 4, 4] } = options;
  const d = latent.reduce((p, q) => p * q, 1);
  const pixels = image.reduce((p, q) => p * q, 1);
  const b = new Builder(emptyGraph("generator"));
  let z = b.input("z", DataType.FLOAT, [batch, ...latent]);
  if (latent.length > 1) z = b.op("Flatten", [z], { axis: 1 });
  if (options.blocked) z = b.op("Floor", [b.op("Mul", [z, b.scalar(8, z)])]);
  const weights = b.constant(numbers(seed, d * pixels), [d, pixels], DataType.FLOAT);
  const flat = b.op("Tanh", [b.op("MatMul", [z, weights])]);
  b.output("image", b.reshape(flat, [-1, ...image]));
  b.graph.outputs[0]!.dims = [batch, ...image];
  return encodeModel(b.graph);
}

export interface EncoderOptions {
  batch?: Dim;
  seed?: number;
  image?: Dim[];
  classes?: number;
  /** Name of the output. */
  output?: string;
  last?: "Softmax" | "LogSoftmax" | "Sigmoid";
  scale?: number;
}

/** image → logits [N, 3]: a linear layer, or what follows it. */
export function tinyEncoder(options: EncoderOptions = {}): Uint8Array {
  const {
    batch = "batch",
    seed = 2,
    image = [3, 4, 4],
    classes = 3,
    output = "logits",
    scale = 0.5,
  } = options;
  const pixels = image.reduce<number>((p, q) => p * (typeof q === "number" ? q : 4), 1);
  const b = new Builder(emptyGraph("encoder"));
  const x = b.op("Flatten", [b.input("x", DataType.FLOAT, [batch, ...image])], { axis: 1 });
  const weights = numbers(seed, pixels * classes, -scale, scale);
  let y = b.op("MatMul", [x, b.constant(weights, [pixels, classes], DataType.FLOAT)]);
  if (options.last) y = b.op(options.last, [y], options.last === "Sigmoid" ? {} : { axis: 1 });
  b.output(output, y);
  b.graph.outputs[0]!.dims = [batch, classes];
  return encodeModel(b.graph);
}

/** Passes when the promise rejects, or the function throws, with a Tr0nError of this code whose message fits. */
export async function rejects(
  what: Promise<unknown> | (() => unknown),
  code: Tr0nErrorCode,
  message: RegExp = /./,
): Promise<Tr0nError> {
  let thrown: unknown;
  try {
    await (typeof what === "function" ? what() : what);
  } catch (error) {
    thrown = error;
  }
  assert.ok(thrown instanceof Tr0nError, `expected a Tr0nError ${code}, got ${String(thrown)}`);
  assert.equal(thrown.code, code, thrown.message);
  assert.match(thrown.message, message);
  return thrown;
}

/** A folder that is removed after the test. */
export async function withFolder<T>(body: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "tr0n-test-"));
  try {
    return await body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The bytes of an array, for bit-for-bit comparisons with readable failures. */
export function bits(data: Float32Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex");
}

/** |a − b| ≤ tolerance everywhere; NaN never passes. */
export function close(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what = "",
): void {
  assert.equal(actual.length, expected.length, `${what}: length`);
  for (let i = 0; i < actual.length; i++)
    assert.ok(
      Math.abs(actual[i]! - expected[i]!) <= tolerance,
      `${what}[${i}]: ${actual[i]} is not within ${tolerance} of ${expected[i]}`,
    );
}

/** An AbortController whose signal counts its listeners. */
export function countingController(): { controller: AbortController; listeners: () => number } {
  const controller = new AbortController();
  const { signal } = controller;
  const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
  let count = 0;
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    count++;
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    count--;
    remove(...args);
  };
  return { controller, listeners: () => count };
}
