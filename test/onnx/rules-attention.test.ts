/** Attention and rotary embeddings. */
import type { AttributeValue } from "../../lib/onnx/attributes.js";
import { checkGradient, type Case, type InputSpec } from "../support/operators.js";

type Attributes = Record<string, AttributeValue>;

const truth = (dims: InputSpec["dims"], values: number[]): InputSpec => ({
  dims,
  type: "bool",
  values: () => values,
});

function attention(
  name: string,
  inputs: Record<string, InputSpec>,
  attributes: Attributes = {},
  opset = 23,
): Case {
  return {
    name: `Attention ${name}`,
    opset,
    inputs,
    build: (b, { q, k, v, mask, pastKey, pastValue }) =>
      b.op("Attention", [q!, k!, v!, mask ?? null, pastKey ?? null, pastValue ?? null], attributes),
  };
}

const heads = {
  q: { dims: ["batch", 2, 3, 4] },
  k: { dims: ["batch", 2, 5, 4] },
  v: { dims: ["batch", 2, 5, 3] },
} satisfies Record<string, InputSpec>;
const square = {
  q: { dims: ["batch", 2, 4, 3] },
  k: { dims: ["batch", 2, 4, 3] },
  v: { dims: ["batch", 2, 4, 3] },
} satisfies Record<string, InputSpec>;
const past = {
  pastKey: { dims: ["batch", 2, 3, 3] },
  pastValue: { dims: ["batch", 2, 3, 3] },
} satisfies Record<string, InputSpec>;

const cases: Case[] = [
  attention("of heads", heads),
  attention("of heads, operator set 24", heads, {}, 24),
  attention("of free lengths", {
    q: { dims: ["batch", 2, "batch", 4] },
    k: { dims: ["batch", 2, "batch", 4] },
    v: { dims: ["batch", 2, "batch", 4] },
  }),
  attention("with its scale", heads, { scale: 0.3 }),
  attention(
    "with heads side by side",
    {
      q: { dims: ["batch", 3, 8] },
      k: { dims: ["batch", 5, 8] },
      v: { dims: ["batch", 5, 6] },
    },
    { q_num_heads: 2, kv_num_heads: 2 },
  ),
  attention("of groups of heads", {
    q: { dims: ["batch", 4, 3, 2] },
    k: { dims: ["batch", 2, 5, 2] },
    v: { dims: ["batch", 2, 5, 3] },
  }),
  attention(
    "of groups of heads side by side",
    {
      q: { dims: ["batch", 3, 12] },
      k: { dims: ["batch", 5, 4] },
      v: { dims: ["batch", 5, 4] },
    },
    { q_num_heads: 6, kv_num_heads: 2 },
  ),
  attention("with a mask that is added", { ...heads, mask: { dims: [3, 5] } }),
  attention("with a mask for every head", { ...heads, mask: { dims: ["batch", 2, 3, 5] } }),
  attention("with a mask of truth values", {
    ...heads,
    mask: truth([3, 5], [1, 0, 1, 1, 1, 0, 0, 1, 0, 1, 1, 1, 1, 1, 1]),
  }),
  // In float64 the runtime makes NaN of them.
  {
    ...attention("with queries that see no key", {
      ...heads,
      mask: truth([3, 5], [1, 0, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]),
    }),
    single: true,
  },
  {
    ...attention("with queries to which all keys are infinitely far", {
      ...heads,
      mask: {
        dims: [3, 5],
        fixed: true,
        values: () => Array.from({ length: 15 }, (_, i) => (i % 5 === 1 || i < 5 ? -Infinity : i / 10)),
      },
    }),
    single: true,
  },
  attention("causal", square, { is_causal: 1 }),
  attention("causal of fewer queries", heads, { is_causal: 1 }),
  // The kernel for float32 wants the past as outputs, too.
  { ...attention("causal, with a past", { ...square, ...past }, { is_causal: 1 }), double: true },
  { ...attention("with a past", { ...square, ...past }), double: true },
  {
    ...attention("causal, masked", { ...square, mask: { dims: [4, 4] } }, { is_causal: 1 }),
    // The runtime spells it out with a float32 constant.
    single: true,
  },
  attention("with capped scores", heads, { softcap: 0.5 }),
  attention("with capped scores and a mask", { ...heads, mask: { dims: [3, 5] } }, { softcap: 0.5 }),
  {
    ...attention("with the keys and values of the past as outputs", { ...square, ...past }, {}),
    build: (b, { q, k, v, pastKey, pastValue }) => {
      const [y, key, value] = b.ops("Attention", [q!, k!, v!, null, pastKey!, pastValue!], 3);
      return [y!, b.op("Exp", [key!]), b.op("Sin", [value!])];
    },
  },
];

/** cos and sin of any angles will do. */
function rotary(
  name: string,
  x: InputSpec["dims"],
  tables: InputSpec["dims"],
  attributes: Attributes,
  positions?: InputSpec,
): Case {
  const angles = (f: (angle: number) => number): InputSpec => ({
    dims: tables,
    fixed: true,
    values: (next, count) => Float64Array.from({ length: count }, () => f(Math.floor(next() * 8))),
  });
  return {
    name: `RotaryEmbedding ${name}`,
    opset: 23,
    inputs: {
      x: { dims: x },
      cos: angles(Math.cos),
      sin: angles(Math.sin),
      ...(positions ? { positions } : {}),
    },
    build: (b, { x, cos, sin, positions }) => {
      const y = b.op("RotaryEmbedding", [x!, cos!, sin!, positions ?? null], attributes);
      return b.op("Mul", [y, y]);
    },
  };
}
const places: InputSpec = { dims: [2, 3], type: "int64", values: () => [4, 0, 2, 1, 1, 3] };
cases.push(
  rotary("of heads", ["batch", 2, 3, 4], ["batch", 3, 2], {}),
  rotary("interleaved", ["batch", 2, 3, 4], ["batch", 3, 2], { interleaved: 1 }),
  rotary("by position", [2, 2, 3, 4], [5, 2], {}, places),
  rotary("with heads side by side", [2, 3, 8], [5, 2], { num_heads: 2, interleaved: 1 }, places),
  rotary("of a part of each head", [2, 2, 3, 6], [5, 2], { rotary_embedding_dim: 4 }, places),
);

describe("onnx rules: attention", () => {
  for (const spec of cases) it(spec.name, () => checkGradient(spec));
});
