/** Models of the tests of the bridge. */
import type { NativeSession } from "../../lib/native/types/models.js";
import { numbers } from "./numbers.js";
import { onnxModel } from "./onnx.js";

/** y = relu(x·w₁)·w₂ */
export function mlp(
  inputs: number,
  hidden: number,
  outputs: number,
  batch: number | string = "batch",
): Uint8Array {
  return onnxModel({
    inputs: [{ name: "x", dims: [batch, inputs] }],
    outputs: [{ name: "y", dims: [batch, outputs] }],
    nodes: [
      ["MatMul", ["x", "w1"], ["a"]],
      ["Relu", ["a"], ["h"]],
      ["MatMul", ["h", "w2"], ["y"]],
    ],
    weights: [
      { name: "w1", dims: [inputs, hidden], data: numbers(3, inputs * hidden) },
      { name: "w2", dims: [hidden, outputs], data: numbers(4, hidden * outputs) },
    ],
  });
}

/** x · wᴺ: as long as one likes. */
export function longChain(size: number, length: number): Uint8Array {
  const name = (i: number) => (i === 0 ? "x" : i === length ? "y" : `h${i}`);
  const weights = numbers(5, size * size).map((w) => w / size);
  return onnxModel({
    inputs: [{ name: "x", dims: ["batch", size] }],
    outputs: [{ name: "y", dims: ["batch", size] }],
    nodes: Array.from({ length }, (_, i) => ["MatMul", [name(i), "w"], [name(i + 1)]] as const),
    weights: [{ name: "w", dims: [size, size], data: weights }],
  });
}

/**
 * E = Σ_j (z·w − c)_j² with its gradient 2 (z·w − c)·wᵀ written out. The sum is a product with ones, which, unlike
 * ReduceSum, has the same
 * bits wherever a row lies.
 */
export function squaredDistance(d: number, m: number, batch: number | string = "batch"): Uint8Array {
  const w = numbers(7, d * m);
  const transposed = Float32Array.from({ length: d * m }, (_, i) => w[(i % d) * m + Math.floor(i / d)]!);
  return onnxModel({
    inputs: [
      { name: "z", dims: [batch, d] },
      { name: "c", dims: [batch, m] },
    ],
    outputs: [
      { name: "energy", dims: [batch] },
      { name: "grad_z", dims: [batch, d] },
    ],
    nodes: [
      ["MatMul", ["z", "w"], ["p"]],
      ["Sub", ["p", "c"], ["r"]],
      ["Mul", ["r", "r"], ["rr"]],
      ["MatMul", ["rr", "ones"], ["column"]],
      ["Squeeze", ["column", "axis"], ["energy"]],
      ["Mul", ["r", "two"], ["r2"]],
      ["MatMul", ["r2", "wt"], ["grad_z"]],
    ],
    weights: [
      { name: "w", dims: [d, m], data: w },
      { name: "wt", dims: [m, d], data: transposed },
      { name: "ones", dims: [m, 1], data: new Float32Array(m).fill(1) },
      { name: "axis", dims: [1], data: BigInt64Array.of(1n) },
      { name: "two", dims: [], data: Float32Array.of(2) },
    ],
  });
}

/** What `createObjective` takes for such a model. */
export function distanceConfig(session: NativeSession, d: number, m: number, maxBatch = 64) {
  return {
    energy: session,
    gradient: session as NativeSession | null,
    input: "z",
    conditionInput: "c",
    energyOutput: "energy",
    gradientOutput: "grad_z",
    inputShape: [d],
    conditionShape: [m],
    fixedBatch: 0,
    maxBatch,
  };
}

/** y = op(x), row by row. */
export function unary(op: string, columns: number): Uint8Array {
  return onnxModel({
    inputs: [{ name: "x", dims: ["batch", columns] }],
    outputs: [{ name: "y", dims: ["batch", columns] }],
    nodes: [[op, ["x"], ["y"]]],
  });
}

/** y = Σ_j x_j */
export function rowSum(columns: number): Uint8Array {
  return onnxModel({
    inputs: [{ name: "x", dims: ["batch", columns] }],
    outputs: [{ name: "y", dims: ["batch", 1] }],
    nodes: [["ReduceSum", ["x", "axis"], ["y"]]],
    weights: [{ name: "axis", dims: [1], data: BigInt64Array.of(1n) }],
  });
}
