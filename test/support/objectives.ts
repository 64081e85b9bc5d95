/** Objectives whose gradient is written out by hand: the native samplers' tests do not lean on the differentiator. */
import { native } from "../../lib/native/binding.js";
import type { NativeObjective } from "../../lib/native/types/pipeline.js";
import { makeModel, type NodeSpec } from "./onnx.js";

const scalars = {
  two: { data: Float32Array.of(2), shape: [] },
  one: { data: Float32Array.of(1), shape: [] },
};

async function open(
  d: number,
  m: number,
  nodes: NodeSpec[],
  gradientNodes: NodeSpec[],
  weights: Record<string, { data: Float32Array | BigInt64Array; shape: number[] }>,
  maxBatch: number,
): Promise<NativeObjective> {
  const inputs = { z: ["n", d], c: ["n", m] };
  const all = { ...scalars, axis: { data: BigInt64Array.of(1n), shape: [1] }, ...weights };
  const energy = makeModel({ inputs, outputs: { energy: ["n"] }, nodes, weights: all });
  const gradient = makeModel({
    inputs,
    outputs: { energy: ["n"], gradient: ["n", d] },
    nodes: [...nodes, ...gradientNodes],
    weights: all,
  });
  const energySession = await native().openSession(energy, { threads: 1 }).promise;
  const gradientSession = await native().openSession(gradient, { threads: 1 }).promise;
  const objective = native().createObjective({
    energy: energySession,
    gradient: gradientSession,
    input: "z",
    conditionInput: "c",
    energyOutput: "energy",
    gradientOutput: "gradient",
    inputShape: [d],
    conditionShape: [m],
    fixedBatch: 0,
    maxBatch,
  });
  energySession.dispose();
  gradientSession.dispose();
  return objective;
}

/** E = Σ_j (tanh(z W₁) W₂ − c)²_j; ∂E/∂z = ((2 r W₂ᵀ) ⊙ (1 − t²)) W₁ᵀ. */
export function tanhRegression(
  d: number,
  h: number,
  m: number,
  w1: Float32Array,
  w2: Float32Array,
  maxBatch = 64,
): Promise<NativeObjective> {
  return open(
    d,
    m,
    [
      { op: "MatMul", inputs: ["z", "w1"], outputs: ["a"] },
      { op: "Tanh", inputs: ["a"], outputs: ["t"] },
      { op: "MatMul", inputs: ["t", "w2"], outputs: ["x"] },
      { op: "Sub", inputs: ["x", "c"], outputs: ["r"] },
      { op: "Mul", inputs: ["r", "r"], outputs: ["r2"] },
      { op: "ReduceSum", inputs: ["r2", "axis"], outputs: ["energy"], attributes: { keepdims: 0 } },
    ],
    [
      { op: "Mul", inputs: ["r", "two"], outputs: ["gr"] },
      { op: "Transpose", inputs: ["w2"], outputs: ["w2t"] },
      { op: "Transpose", inputs: ["w1"], outputs: ["w1t"] },
      { op: "MatMul", inputs: ["gr", "w2t"], outputs: ["gt"] },
      { op: "Mul", inputs: ["t", "t"], outputs: ["t2"] },
      { op: "Sub", inputs: ["one", "t2"], outputs: ["dt"] },
      { op: "Mul", inputs: ["gt", "dt"], outputs: ["ga"] },
      { op: "MatMul", inputs: ["ga", "w1t"], outputs: ["gradient"] },
    ],
    { w1: { data: w1, shape: [d, h] }, w2: { data: w2, shape: [h, m] } },
    maxBatch,
  );
}

/** E = Σ_i (z_i − c_i)² · p_i / 2: with the prior N(0, I) the posterior is N(p c / (1 + p), 1 / (1 + p)). */
export function gaussian(precision: Float32Array, maxBatch = 64): Promise<NativeObjective> {
  const d = precision.length;
  return open(
    d,
    d,
    [
      { op: "Sub", inputs: ["z", "c"], outputs: ["r"] },
      { op: "Mul", inputs: ["r", "p"], outputs: ["rp"] },
      { op: "Mul", inputs: ["r", "rp"], outputs: ["r2"] },
      { op: "ReduceSum", inputs: ["r2", "axis"], outputs: ["sum"], attributes: { keepdims: 0 } },
      { op: "Div", inputs: ["sum", "two"], outputs: ["energy"] },
    ],
    [{ op: "Identity", inputs: ["rp"], outputs: ["gradient"] }],
    { p: { data: precision, shape: [d] } },
    maxBatch,
  );
}
