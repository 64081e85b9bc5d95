/**
 * Operators of ONNX Runtime's own domain: their standard spelling computes what the runtime's kernels compute, and its gradient
 * is that of the kernels by finite differences. Where the CPU has no kernel, a loop in float64 stands for it.
 */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InferenceSession } from "onnxruntime-node";
import { makeAttribute, type AttributeValue } from "../../lib/onnx/attributes.js";
import {
  Builder,
  DataType,
  decodeModel,
  differentiateGraph,
  emptyGraph,
  encodeModel,
  graphToRun,
  gradientObstacles,
  runsAsItIs,
  upgradeGraph,
  type Graph,
} from "../../lib/onnx/index.js";
import { loadModel } from "../../lib/index.js";
import { assertClose, run, runGraph, session, size, type Feed } from "../support/operators.js";
import { random, seedOf, uniform } from "../support/numbers.js";

interface Operand {
  dims: number[];
  data?: readonly number[];
  type?: "int32" | "int64";
  /** Strictly positive numbers. */
  positive?: boolean;
}

interface Case {
  name: string;
  op: string;
  domain?: string;
  /** null is an input that is left out. */
  inputs: (Operand | null)[];
  attributes?: Record<string, AttributeValue>;
  /** Which outputs there are; "" is one that is left out. */
  outputs?: string[];
  opset?: number;
  /** What it should compute, where the CPU has no kernel. */
  reference?: (x: readonly Float64Array[], dims: readonly number[][]) => number[];
  tolerance?: number;
}

const elemTypes = { float32: 1, int32: 6, int64: 7 } as const;

function model(c: Case): Graph {
  const graph = emptyGraph("contrib", c.opset ?? 17);
  graph.opsets.set("com.microsoft", 1);
  if (c.domain === "ai.onnx.ml") graph.opsets.set(c.domain, 1);
  const names = c.inputs.map((input, i) => (input ? `x${i}` : ""));
  c.inputs.forEach((input, i) => {
    if (input)
      graph.inputs.push({ name: `x${i}`, elemType: elemTypes[input.type ?? "float32"], dims: input.dims });
  });
  const outputs = c.outputs ?? ["y"];
  graph.nodes.push({
    opType: c.op,
    domain: c.domain ?? "com.microsoft",
    name: "node",
    overload: "",
    inputs: names,
    outputs,
    attributes: new Map(
      Object.entries(c.attributes ?? {}).map(([name, value]) => [name, makeAttribute(name, value)]),
    ),
  });
  graph.outputs = outputs
    .filter((name) => name !== "")
    .map((name) => ({ name, elemType: name === "counts" ? 6 : name === "label" ? 7 : 1, dims: null }));
  return graph;
}

const f = (...dims: number[]): Operand => ({ dims });
const positive = (...dims: number[]): Operand => ({ dims, positive: true });
const whole = (dims: number[], ...data: number[]): Operand => ({ dims, data, type: "int32" });

const gelu = (x: number): number => (x / 2) * (1 + erf(x / Math.SQRT2));
/** By its series: exact to the last bits for the numbers of these tests. */
function erf(x: number): number {
  let [sum, term] = [x, x];
  for (let n = 1; n < 60; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

function groupNorm(
  silu: boolean,
  last: boolean,
  groups: number,
  skip: boolean,
): NonNullable<Case["reference"]> {
  return (x, dims) => {
    const [data, gamma, beta] = x as [Float64Array, Float64Array, Float64Array];
    const [n, p, q, r] = dims[0] as [number, number, number, number];
    const [channels, height, width] = last ? [r, p, q] : [p, q, r];
    const place = (i: number, c: number, h: number, w: number): number =>
      last ? ((i * height + h) * width + w) * channels + c : ((i * channels + c) * height + h) * width + w;
    const values = Float64Array.from(data);
    if (skip) data.forEach((_, at) => (values[at] = data[at]! + x[3]![at]! + x[4]![at % channels]!));
    const out = new Float64Array(values.length);
    const each = channels / groups;
    for (let i = 0; i < n; i++)
      for (let g = 0; g < groups; g++) {
        const at: [number, number][] = [];
        for (let c = g * each; c < (g + 1) * each; c++)
          for (let h = 0; h < height; h++) for (let w = 0; w < width; w++) at.push([place(i, c, h, w), c]);
        const mean = at.reduce((sum, [a]) => sum + values[a]!, 0) / at.length;
        const variance = at.reduce((sum, [a]) => sum + (values[a]! - mean) ** 2, 0) / at.length;
        for (const [a, c] of at) {
          const y = ((values[a]! - mean) / Math.sqrt(variance + 1e-5)) * gamma[c]! + beta[c]!;
          out[a] = silu ? y / (1 + Math.exp(-y)) : y;
        }
      }
    return [...out];
  };
}

/** 3 × 3, padded by 1, kernels [M, kH, kW, C]. */
function nhwcConv(x: readonly Float64Array[], dims: readonly number[][]): number[] {
  const [n, height, width, channels] = dims[0] as [number, number, number, number];
  const kernels = dims[1]![0]!;
  const out: number[] = [];
  for (let i = 0; i < n; i++)
    for (let h = 0; h < height; h++)
      for (let w = 0; w < width; w++)
        for (let m = 0; m < kernels; m++) {
          let sum = x[2]![m]!;
          for (let p = 0; p < 3; p++)
            for (let q = 0; q < 3; q++)
              for (let c = 0; c < channels; c++) {
                const [a, b] = [h + p - 1, w + q - 1];
                if (a < 0 || b < 0 || a >= height || b >= width) continue;
                sum +=
                  x[0]![((i * height + a) * width + b) * channels + c]! *
                  x[1]![((m * 3 + p) * 3 + q) * channels + c]!;
              }
          out.push(sum);
        }
  return out;
}

type At = (batch: number, row: number, head: number, element: number) => number;

/** Of 2 × 3 queries with 2 heads of 4. */
function attention(keys: number, q: At, k: At, v: At): number[] {
  const out: number[] = [];
  const four = [0, 1, 2, 3];
  for (let i = 0; i < 2; i++)
    for (let row = 0; row < 3; row++)
      for (let head = 0; head < 2; head++) {
        const weights = Array.from({ length: keys }, (_, key) =>
          Math.exp(four.reduce((sum, e) => sum + q(i, row, head, e) * k(i, key, head, e), 0) / 2),
        );
        const total = weights.reduce((p, w) => p + w, 0);
        for (const e of four)
          out.push(weights.reduce((sum, w, key) => sum + (w / total) * v(i, key, head, e), 0));
      }
  return out;
}

const conv = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] };
const heads = { num_heads: 2 };

const cases: Case[] = [
  { name: "Gelu", op: "Gelu", inputs: [f(2, 6)] },
  { name: "BiasGelu", op: "BiasGelu", inputs: [f(2, 3, 6), f(6)] },
  { name: "FastGelu", op: "FastGelu", inputs: [f(2, 6)] },
  { name: "FastGelu with a bias", op: "FastGelu", inputs: [f(2, 6), f(6)] },
  { name: "QuickGelu", op: "QuickGelu", inputs: [f(2, 6)] },
  { name: "QuickGelu, alpha", op: "QuickGelu", inputs: [f(2, 6)], attributes: { alpha: 0.7 } },
  {
    name: "BiasSplitGelu",
    op: "BiasSplitGelu",
    inputs: [f(2, 3, 8), f(8)],
    reference: ([x, b]) =>
      Array.from({ length: 24 }, (_, i) => {
        const [row, at] = [Math.floor(i / 4), i % 4];
        return (x![row * 8 + at]! + b![at]!) * gelu(x![row * 8 + 4 + at]! + b![4 + at]!);
      }),
  },
  {
    name: "BiasAdd",
    op: "BiasAdd",
    inputs: [f(2, 3, 4), f(4), f(2, 3, 4)],
    reference: ([x, b, s]) => Array.from(x!, (value, i) => value + b![i % 4]! + s![i]!),
  },
  {
    name: "BiasDropout",
    op: "BiasDropout",
    inputs: [f(2, 3), f(3), f(2, 3)],
    reference: ([x, b, s]) => Array.from(x!, (value, i) => value + b![i % 3]! + s![i]!),
  },
  {
    name: "GemmFastGelu",
    op: "GemmFastGelu",
    inputs: [f(2, 3), f(3, 2), f(2)],
    reference: ([x, w, b]) =>
      Array.from({ length: 4 }, (_, i) => {
        let s = b![i % 2]!;
        for (let k = 0; k < 3; k++) s += x![Math.floor(i / 2) * 3 + k]! * w![k * 2 + (i % 2)]!;
        return (s / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (s + 0.044715 * s ** 3)));
      }),
  },
  { name: "FusedMatMul", op: "FusedMatMul", inputs: [f(2, 3), f(3, 4)], attributes: { alpha: 0.25 } },
  {
    name: "FusedMatMul, both transposed",
    op: "FusedMatMul",
    inputs: [f(2, 5, 3), f(2, 4, 5)],
    attributes: { transA: 1, transB: 1 },
  },
  {
    name: "FusedMatMul, batches of A",
    op: "FusedMatMul",
    inputs: [f(3, 2, 2, 5), f(2, 2, 5, 4)],
    attributes: { transBatchA: 1 },
  },
  {
    name: "FusedMatMul, batches of B, transposed",
    op: "FusedMatMul",
    inputs: [f(2, 3, 5), f(4, 2, 5)],
    attributes: { transBatchB: 1, transB: 1 },
  },
  {
    name: "FusedMatMul, batches of both, both transposed",
    op: "FusedMatMul",
    inputs: [f(5, 2, 3), f(4, 2, 5)],
    attributes: { transBatchA: 1, transA: 1, transBatchB: 1, transB: 1 },
  },
  { name: "TransposeMatMul", op: "TransposeMatMul", inputs: [f(3, 2), f(3, 4)], attributes: { transA: 1 } },
  ...(
    [
      ["Relu", {}],
      ["LeakyRelu", { activation_alpha: 0.2 }],
      ["Sigmoid", {}],
      ["Tanh", {}],
      ["HardSigmoid", { activation_alpha: 0.3, activation_beta: 0.4 }],
    ] as const
  ).map(([activation, more]): Case => ({
    name: `FusedGemm, ${activation}`,
    op: "FusedGemm",
    inputs: [f(3, 2), f(4, 3), f(4)],
    attributes: { transA: 1, transB: 1, alpha: 0.5, beta: 2, activation, ...more },
  })),
  ...(
    [
      ["Relu", []],
      ["LeakyRelu", [0.2]],
      ["Sigmoid", []],
      ["Tanh", []],
      ["Clip", [-0.3, 0.6]],
      ["HardSigmoid", [0.3, 0.4]],
    ] as [string, number[]][]
  ).map(([activation, activation_params]): Case => ({
    name: `FusedConv, ${activation}`,
    op: "FusedConv",
    inputs: [f(2, 2, 4, 4), f(3, 2, 3, 3), f(3)],
    attributes: {
      ...conv,
      strides: [2, 1],
      activation,
      ...(activation_params.length ? { activation_params } : {}),
    },
  })),
  {
    name: "FusedConv of a sum",
    op: "FusedConv",
    inputs: [f(1, 2, 4, 4), f(2, 1, 3, 3), f(2), f(1, 2, 4, 4)],
    attributes: { ...conv, group: 2, activation: "Relu" },
  },
  {
    name: "FusedConv without a bias",
    op: "FusedConv",
    inputs: [f(1, 2, 4, 4), f(2, 2, 3, 3), null, f(1, 2, 4, 4)],
    attributes: { ...conv },
  },
  {
    name: "NhwcConv",
    op: "NhwcConv",
    inputs: [f(2, 4, 3, 2), f(4, 3, 3, 2), f(4)],
    attributes: conv,
    reference: nhwcConv,
  },
  {
    name: "SkipLayerNormalization",
    op: "SkipLayerNormalization",
    inputs: [f(2, 3, 4), f(2, 3, 4), f(4), f(4), f(4)],
    outputs: ["y", "", "", "sum"],
    attributes: { epsilon: 1e-5 },
  },
  {
    name: "SkipLayerNormalization, a skip for all",
    op: "SkipLayerNormalization",
    inputs: [f(2, 3, 4), f(3, 4), f(4)],
    attributes: { epsilon: 1e-3 },
  },
  {
    name: "SkipSimplifiedLayerNormalization",
    op: "SkipSimplifiedLayerNormalization",
    inputs: [f(2, 3, 4), f(2, 3, 4), f(4), f(4)],
    outputs: ["y", "", "", "sum"],
    attributes: { epsilon: 1e-5 },
  },
  {
    name: "SimplifiedLayerNormalization",
    op: "SimplifiedLayerNormalization",
    domain: "",
    inputs: [f(2, 3, 4), f(4)],
    attributes: { axis: -1, epsilon: 1e-3 },
  },
  {
    name: "LayerNormalization before operator set 17",
    op: "LayerNormalization",
    domain: "",
    inputs: [f(2, 3, 4), f(4), f(4)],
    attributes: { axis: -1, epsilon: 1e-3 },
    opset: 12,
  },
  {
    name: "EmbedLayerNormalization",
    op: "EmbedLayerNormalization",
    inputs: [
      whole([2, 3], 0, 2, 1, 3, 3, 0),
      whole([2, 3], 0, 1, 1, 0, 0, 1),
      f(4, 4),
      f(5, 4),
      f(2, 4),
      f(4),
      f(4),
      whole([2, 3], 1, 1, 0, 1, 1, 1),
    ],
    outputs: ["y", "counts", "sum"],
    attributes: { epsilon: 1e-5 },
  },
  {
    name: "EmbedLayerNormalization, places given",
    op: "EmbedLayerNormalization",
    inputs: [whole([1, 3], 0, 2, 1), null, f(4, 4), f(5, 4), null, f(4), f(4), null, whole([1, 3], 4, 0, 2)],
    outputs: ["y", "counts"],
    attributes: { epsilon: 1e-5 },
  },
  ...[true, false].flatMap((last) =>
    [true, false].map((silu): Case => ({
      name: `GroupNorm${silu ? ", SiLU" : ""}${last ? "" : ", channels first"}`,
      op: "GroupNorm",
      inputs: [last ? f(2, 3, 2, 4) : f(2, 4, 3, 2), f(4), f(4)],
      attributes: { groups: 2, activation: silu ? 1 : 0, ...(last ? {} : { channels_last: 0 }) },
      reference: groupNorm(silu, last, 2, false),
    })),
  ),
  {
    name: "SkipGroupNorm",
    op: "SkipGroupNorm",
    inputs: [f(1, 3, 2, 4), f(4), f(4), f(1, 3, 2, 4), f(4)],
    attributes: { groups: 2, activation: 1 },
    reference: groupNorm(true, true, 2, true),
  },
  { name: "Attention", op: "Attention", inputs: [f(2, 3, 4), f(4, 12), f(12)], attributes: heads },
  {
    name: "Attention, lengths",
    op: "Attention",
    inputs: [f(2, 3, 4), f(4, 12), f(12), whole([2], 2, 3)],
    attributes: heads,
  },
  {
    name: "Attention, ends and starts",
    op: "Attention",
    inputs: [f(2, 3, 4), f(4, 12), f(12), whole([4], 2, 3, 0, 1)],
    attributes: heads,
  },
  {
    name: "Attention, a mask of rows",
    op: "Attention",
    inputs: [f(2, 3, 4), f(4, 12), f(12), whole([2, 3], 1, 1, 0, 1, 0, 1)],
    attributes: { ...heads, mask_filter_value: -3 },
  },
  {
    name: "Attention, a mask of pairs",
    op: "Attention",
    inputs: [f(1, 3, 4), f(4, 12), f(12), whole([1, 3, 3], 1, 0, 0, 1, 1, 0, 0, 1, 1)],
    attributes: heads,
  },
  {
    name: "Attention, causal",
    op: "Attention",
    inputs: [f(2, 3, 4), f(4, 12), f(12), whole([2], 2, 3)],
    attributes: { ...heads, unidirectional: 1 },
  },
  {
    name: "Attention, causal without a mask",
    op: "Attention",
    inputs: [f(1, 3, 4), f(4, 12), f(12)],
    attributes: { ...heads, unidirectional: 1, scale: 0.3 },
  },
  {
    name: "Attention, a bias of scores",
    op: "Attention",
    inputs: [f(2, 3, 4), f(4, 12), f(12), null, null, f(2, 2, 3, 3)],
    attributes: heads,
  },
  {
    name: "Attention, values of another width",
    op: "Attention",
    inputs: [f(2, 3, 4), f(4, 14), f(14)],
    attributes: { ...heads, qkv_hidden_sizes: [4, 4, 6] },
  },
  {
    name: "MultiHeadAttention",
    op: "MultiHeadAttention",
    inputs: [f(2, 3, 4), f(2, 5, 4), f(2, 5, 6)],
    attributes: heads,
  },
  {
    name: "MultiHeadAttention, a bias",
    op: "MultiHeadAttention",
    inputs: [f(2, 3, 4), f(2, 5, 4), f(2, 5, 4), f(12)],
    attributes: heads,
  },
  {
    name: "MultiHeadAttention, keys left out",
    op: "MultiHeadAttention",
    inputs: [
      f(2, 3, 4),
      f(2, 5, 4),
      f(2, 5, 4),
      null,
      whole([2, 5], 1, 1, 1, 0, 0, 1, 0, 1, 1, 1),
      f(1, 2, 3, 5),
    ],
    attributes: { ...heads, scale: 0.6 },
  },
  {
    name: "MultiHeadAttention, causal",
    op: "MultiHeadAttention",
    inputs: [f(1, 3, 4), f(1, 3, 4), f(1, 3, 4)],
    attributes: { ...heads, unidirectional: 1 },
  },
  {
    name: "MultiHeadAttention, keys by heads",
    op: "MultiHeadAttention",
    inputs: [f(2, 3, 4), f(2, 2, 5, 2), f(2, 2, 5, 2)],
    attributes: heads,
  },
  {
    name: "MultiHeadAttention, packed",
    op: "MultiHeadAttention",
    inputs: [f(2, 3, 2, 3, 4)],
    attributes: heads,
    reference: ([all]) => {
      const at = (which: number) => (i: number, row: number, head: number, e: number) =>
        all![(((i * 3 + row) * 2 + head) * 3 + which) * 4 + e]!;
      return attention(3, at(0), at(1), at(2));
    },
  },
  {
    name: "MultiHeadAttention, packed keys and values",
    op: "MultiHeadAttention",
    inputs: [f(2, 3, 8), f(2, 5, 2, 2, 4)],
    attributes: heads,
    reference: ([q, kv]) => {
      const at = (which: number) => (i: number, row: number, head: number, e: number) =>
        kv![(((i * 5 + row) * 2 + head) * 2 + which) * 4 + e]!;
      return attention(5, (i, row, head, e) => q![((i * 3 + row) * 2 + head) * 4 + e]!, at(0), at(1));
    },
  },
  ...[0, 1].flatMap((interleaved): Case[] => [
    {
      name: `RotaryEmbedding${interleaved ? ", interleaved" : ""}`,
      op: "RotaryEmbedding",
      inputs: [f(2, 3, 8), { dims: [2, 3], data: [0, 1, 2, 4, 3, 1], type: "int64" }, f(6, 2), f(6, 2)],
      attributes: { interleaved },
    },
    {
      name: `RotaryEmbedding by heads${interleaved ? ", interleaved" : ""}`,
      op: "RotaryEmbedding",
      inputs: [f(1, 2, 3, 4), { dims: [1], data: [2], type: "int64" }, f(6, 2), f(6, 2)],
      attributes: { interleaved },
    },
    {
      name: `RotaryEmbedding, a part${interleaved ? ", interleaved" : ""}`,
      op: "RotaryEmbedding",
      inputs: [f(1, 3, 12), { dims: [1, 3], data: [0, 1, 2], type: "int64" }, f(6, 2), f(6, 2)],
      attributes: { interleaved, num_heads: 2, rotary_embedding_dim: 4 },
    },
  ]),
  { name: "Trilu", op: "Trilu", inputs: [f(2, 3, 3)], attributes: { upper: 0 } },
  {
    name: "Pad",
    op: "Pad",
    inputs: [f(2, 3), { dims: [4], data: [0, 1, 1, 0], type: "int64" }],
    attributes: { mode: "constant" },
  },
  { name: "GatherND", op: "GatherND", inputs: [f(3, 2), { dims: [2, 1], data: [2, 0], type: "int64" }] },
  ...["bilinear", "nearest", "bicubic"].map((mode): Case => ({
    name: `GridSample, ${mode}`,
    op: "GridSample",
    inputs: [f(1, 2, 4, 4), f(1, 2, 2, 2)],
    attributes: { mode, padding_mode: "border", align_corners: 1 },
    tolerance: 5e-3,
  })),
  {
    name: "Scaler",
    op: "Scaler",
    domain: "ai.onnx.ml",
    inputs: [f(2, 3)],
    attributes: { offset: [0.1, 0.2, -0.3], scale: [2, 0.5, 1.5] },
  },
  ...["L1", "L2"].map((norm): Case => ({
    name: `Normalizer ${norm}`,
    op: "Normalizer",
    domain: "ai.onnx.ml",
    inputs: [positive(2, 3)],
    attributes: { norm },
  })),
  {
    name: "LinearRegressor",
    op: "LinearRegressor",
    domain: "ai.onnx.ml",
    inputs: [f(2, 3)],
    attributes: { targets: 2, coefficients: [0.1, 0.2, -0.3, 1.2, 0.7, 0.3], intercepts: [0.3, -0.1] },
  },
  ...["NONE", "LOGISTIC", "SOFTMAX"].map((post_transform): Case => ({
    name: `LinearClassifier ${post_transform}`,
    op: "LinearClassifier",
    domain: "ai.onnx.ml",
    inputs: [f(3, 3)],
    outputs: ["label", "y"],
    attributes: {
      coefficients: [0.1, 0.2, -0.3, 1.2, 0.7, 0.3, -0.4, 0.2, 0.6],
      intercepts: [0.3, -0.1, 0.2],
      classlabels_ints: [4, 7, 9],
      post_transform,
    },
  })),
  { name: "CDist", op: "CDist", inputs: [positive(2, 3), f(4, 3)], attributes: { metric: "sqeuclidean" } },
  {
    name: "CDist, euclidean",
    op: "CDist",
    inputs: [positive(2, 3), f(4, 3)],
    attributes: { metric: "euclidean" },
  },
];

function feedsOf(c: Case): Record<string, Feed & { data: Float64Array }> {
  const next = random(seedOf(c.name));
  return Object.fromEntries(
    c.inputs.flatMap((input, i) => {
      if (!input) return [];
      const { dims, data, type = "float32" } = input;
      const values =
        data ?? uniform(next, size(dims), input.positive ? 1.2 : -1, input.positive ? 2 : 1).map(Math.fround);
      return [[`x${i}`, { dims, data: Float64Array.from(values), type }]];
    }),
  );
}

/** What the runtime fuses: a residual block of convolutions, then a block of a transformer. */
function network(): Graph {
  const b = new Builder(emptyGraph("network", 17));
  const next = random(11);
  const w = (...dims: number[]): string =>
    b.constant(uniform(next, size(dims), -0.5, 0.5), dims, DataType.FLOAT);
  const x = b.input("x", DataType.FLOAT, ["n", 2, 4, 4]);
  const convolved = (value: string): string =>
    b.op("Conv", [value, w(2, 2, 3, 3), w(2)], { pads: [1, 1, 1, 1] });
  const block = b.op("Relu", [
    b.op("Add", [convolved(b.op("LeakyRelu", [convolved(x)], { alpha: 0.1 })), x]),
  ]);
  const rows = b.op("Transpose", [b.op("Reshape", [block, b.ints([0, 2, 16])])], { perm: [0, 2, 1] });
  const norm = (value: string): string => b.op("LayerNormalization", [value, w(8), w(8)], { axis: -1 });
  const linear = (value: string, from: number, to: number): string =>
    b.op("Add", [b.op("MatMul", [value, w(from, to)]), w(to)]);
  const h = norm(b.op("Add", [linear(rows, 2, 8), w(16, 8)]));
  const [q, k, v] = [0, 1, 2].map(() => linear(h, 8, 8)) as [string, string, string];
  const scores = b.op("Mul", [
    b.op("MatMul", [q, b.op("Transpose", [k], { perm: [0, 2, 1] })]),
    b.scalar(0.35, q),
  ]);
  const attended = b.op("MatMul", [b.op("Softmax", [scores], { axis: -1 }), v]);
  const middle = norm(b.op("Add", [linear(attended, 8, 8), h]));
  const wide = linear(middle, 8, 12);
  const half = b.op("Mul", [
    wide,
    b.op("Add", [b.op("Erf", [b.op("Div", [wide, b.scalar(Math.SQRT2, wide)])]), b.scalar(1, wide)]),
  ]);
  const bent = b.op("Mul", [half, b.scalar(0.5, wide)]);
  b.output("y", norm(b.op("Add", [linear(bent, 12, 8), middle])));
  return b.graph;
}

describe("onnx: operators of the runtime's own domain", () => {
  for (const c of cases)
    it(c.name, async () => {
      const bytes = encodeModel(model(c));
      const graph = decodeModel(bytes);
      const standard = upgradeGraph(graph);
      assert.ok(
        standard.nodes.every(
          ({ domain, opType }) =>
            (domain === "" && !opType.startsWith("Simplified")) || opType === "LinearClassifier",
        ),
      );
      assert.deepEqual(encodeModel(graph), bytes, "the graph given is unchanged");
      const feeds = feedsOf(c);
      const names = Object.keys(feeds);
      const wrt = names.filter((name) => feeds[name]!.type === "float32");
      const spelled = await runGraph(standard, feeds);
      const outputs = graph.outputs.filter(({ elemType }) => elemType === 1).map(({ name }) => name);

      // What the operator computes, by its kernel or by the loop.
      const own = c.reference ? null : await session(bytes);
      const values = async (): Promise<Record<string, Float64Array>> => {
        if (own) {
          const results = await run(own, feeds);
          return Object.fromEntries(
            graph.outputs.map(({ name }) => [name, Float64Array.from(results[name]!.data)]),
          );
        }
        const x = c.inputs.map((_, i) => feeds[`x${i}`]?.data ?? new Float64Array());
        const dims = c.inputs.map((_, i) => feeds[`x${i}`]?.dims ?? []);
        return { y: Float64Array.from(c.reference!(x, dims)) };
      };
      try {
        for (const [name, expected] of Object.entries(await values()))
          assertClose(spelled[name]!.data, expected, 2e-6, name);

        const gradient = differentiateGraph(graph, { wrt, outputs });
        const next = random(seedOf(c.name) + 1);
        const all: Record<string, Feed> = { ...feeds };
        for (const name of outputs) {
          const { dims, data } = spelled[name]!;
          all[`grad_${name}`] = { dims: [...dims], data: uniform(next, data.length) };
        }
        const result = await runGraph(gradient, all);
        const loss = async (): Promise<number> => {
          const at = await values();
          return outputs.reduce(
            (sum, name) => sum + at[name]!.reduce((s, v, i) => s + v * all[`grad_${name}`]!.data[i]!, 0),
            0,
          );
        };
        const step = c.reference ? 1e-5 : 4e-3;
        for (const name of wrt) {
          const { data } = feeds[name]!;
          const slopes = new Float64Array(data.length);
          for (let i = 0; i < data.length; i++) {
            const centre = data[i]!;
            const ends = [centre + step, centre - step].map((x) => (own ? Math.fround(x) : x));
            data[i] = ends[0]!;
            const up = await loss();
            data[i] = ends[1]!;
            const down = await loss();
            data[i] = centre;
            slopes[i] = (up - down) / (ends[0]! - ends[1]!);
          }
          assertClose(
            result[`grad_${name}`]!.data,
            slopes,
            c.tolerance ?? (own ? 1e-3 : 1e-5),
            `gradient of ${name}`,
          );
        }
      } finally {
        await own?.release();
      }
    });

  it("those without a kernel run in standard operators, from a file too", async () => {
    for (const c of cases.filter(({ reference }) => reference)) {
      const graph = model(c);
      assert.equal(runsAsItIs(graph), false, c.name);
      if (c.op !== "MultiHeadAttention")
        await assert.rejects(InferenceSession.create(encodeModel(graph), { logSeverityLevel: 4 }), c.name);
      const feeds = feedsOf(c);
      const x = c.inputs.map((_, i) => feeds[`x${i}`]?.data ?? new Float64Array());
      const expected = c.reference!(
        x,
        c.inputs.map((input) => input?.dims ?? []),
      );
      assertClose((await runGraph(graphToRun(graph), feeds)).y!.data, expected, 1e-5, c.name);
      const loaded = await loadModel(encodeModel(graph));
      const tensors = Object.fromEntries(
        Object.entries(feeds).map(([name, { dims, data }]) => [
          name,
          { shape: dims, data: Float32Array.from(data) },
        ]),
      );
      assertClose((await loaded.run(tensors)).y!.data, expected, 1e-5, `${c.name}, loaded`);
      loaded.dispose();
    }
  });

  it("a model that the runtime optimised and saved has the gradient of the original", async () => {
    const original = network();
    const folder = await mkdtemp(join(tmpdir(), "tr0n-"));
    try {
      for (const level of ["basic", "extended"] as const) {
        const file = join(folder, `${level}.onnx`);
        const saving = await InferenceSession.create(encodeModel(original), {
          graphOptimizationLevel: level,
          optimizedModelFilePath: file,
          logSeverityLevel: 4,
        });
        await saving.release();
        const optimised = decodeModel(await readFile(file));
        const own = new Set(
          optimised.nodes.flatMap(({ domain, opType }) => (domain === "com.microsoft" ? [opType] : [])),
        );
        if (level === "extended")
          for (const opType of ["FusedConv", "SkipLayerNormalization", "BiasGelu", "FusedMatMul"])
            assert.ok(own.has(opType), `${opType} is not in ${[...own].join(", ")}`);
        const [was, is] = [await loadModel(encodeModel(original)), await loadModel(file)];
        const x = { shape: [2, 2, 4, 4], data: Float32Array.from(uniform(random(3), 64)) };
        const y = (await was.run({ x })).y!;
        const seed = { shape: y.shape, data: Float32Array.from(uniform(random(4), y.data.length)) };
        const [expected, got] = [await was.vjp({ x }, { y: seed }), await is.vjp({ x }, { y: seed })];
        assertClose(got.outputs.y!.data, expected.outputs.y!.data, 1e-5, `${level}: output`);
        assertClose(got.gradients.x!.data, expected.gradients.x!.data, 1e-5, `${level}: gradient`);
        was.dispose();
        is.dispose();
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("forms that have no gradient say why", () => {
    const refused = (c: Omit<Case, "name">, why: RegExp): void => {
      const [obstacle, ...others] = gradientObstacles(model({ name: "", ...c }), {
        wrt: ["x0"],
        outputs: ["y"],
      });
      assert.equal(others.length, 0);
      assert.match(obstacle!.message, why);
      assert.match(obstacle!.message, new RegExp(`com.microsoft.${c.op} node "node"`));
    };
    const past = f(2, 1, 2, 3, 2);
    refused(
      { op: "Attention", inputs: [f(1, 3, 4), f(4, 12), f(12), null, past], attributes: heads },
      /without a cache/,
    );
    refused(
      {
        op: "RotaryEmbedding",
        inputs: [f(1, 3, 4), { dims: [1], type: "int64" }, f(6, 2), f(6, 2)],
        attributes: { scale: 2 },
      },
      /scales its angles/,
    );
    refused(
      { op: "BiasSoftmax", inputs: [f(2, 3, 4), f(3, 4)], attributes: { axis: 1, is_inner_broadcast: 0 } },
      /several axes/,
    );
    refused(
      { op: "Inverse", inputs: [f(3, 3)] },
      /no rule for this operator.*before ONNX Runtime or its tools/,
    );
  });
});
