import { checkGradient, type Case, type InputSpec } from "../support/operators.js";
import { uniform } from "../support/numbers.js";

const positive: InputSpec["values"] = (next, count) => uniform(next, count, 0.3, 2);
const inside: InputSpec["values"] = (next, count) => uniform(next, count, -0.8, 0.8);
const wide: InputSpec["values"] = (next, count) => uniform(next, count, -4.9, 4.9);

function unary(opType: string, values?: InputSpec["values"], attributes = {}, opset = 18): Case {
  return {
    name: `${opType} ${JSON.stringify(attributes)}`,
    opset,
    inputs: { x: { dims: ["batch", 5, 3], values } },
    build: (b, { x }) => b.op(opType, [x!], attributes),
  };
}

/** x + f(x): f alone has no gradient, and differentiating it is refused. */
function besides(opType: string): Case {
  return {
    name: `x + ${opType}`,
    inputs: { x: { dims: ["batch", 5, 3], values: (next, count) => uniform(next, count, 0.2, 0.45) } },
    build: (b, { x }) => b.op("Add", [x!, b.op(opType, [x!])]),
  };
}

const cases: Case[] = [
  ..."Ceil Floor Sign Round".split(" ").map(besides),
  ..."Identity Neg Relu LeakyRelu Elu Selu Celu Sigmoid HardSigmoid Tanh Softplus Softsign Mish Exp Erf Abs Sin Cos"
    .split(" ")
    .map((opType) => unary(opType)),
  ..."Sinh Cosh Tan Atan Asinh".split(" ").map((opType) => unary(opType, inside)),
  ..."Asin Acos Atanh".split(" ").map((opType) => unary(opType, inside)),
  unary("Acosh", (next, count) => uniform(next, count, 1.4, 3)),
  ..."Log Sqrt Reciprocal".split(" ").map((opType) => unary(opType, positive)),
  unary("LeakyRelu", undefined, { alpha: -0.3 }),
  ...[1, 1.702, -0.6].flatMap((a) =>
    [false, true].map((turned): Case => ({
      name: `x · σ(${a} x)${turned ? ", turned" : ""}`,
      // The runtime takes it for an operator of its own that has no kernel for float64.
      single: true,
      inputs: { x: { dims: ["batch", 5] } },
      build: (b, { x }, f) => {
        const s = b.op("Sigmoid", [a === 1 ? x! : b.op("Mul", [x!, b.constant([a], [], f)])]);
        return b.op("Mul", turned ? [s, x!] : [x!, s]);
      },
    })),
  ),
  {
    name: "x · σ(a x), whose sigmoid counts elsewhere, and where a has more axes",
    inputs: { x: { dims: ["batch", 5] } },
    build: (b, { x }, f) => {
      const s = b.op("Sigmoid", [b.op("Mul", [x!, b.constant([0.7], [1, 1, 1], f)])]);
      return b.op("Add", [b.op("Mul", [x!, s]), b.op("Exp", [s])]);
    },
  },
  unary("Elu", wide, { alpha: 0.7 }),
  unary("Selu", undefined, { alpha: 1.2, gamma: 0.9 }),
  { ...unary("Celu", undefined, { alpha: 0.6 }), step: 1e-2 },
  unary("ThresholdedRelu", (next, count) => uniform(next, count, 1.2, 3), { alpha: 1 }),
  unary("HardSigmoid", (next, count) => uniform(next, count, -2.9, 2.9), { alpha: 1 / 6, beta: 0.5 }),
  unary("HardSwish", (next, count) => uniform(next, count, -2.9, 2.9)),
  unary("HardSwish", (next, count) => uniform(next, count, 3.1, 5)),
  unary("Gelu", wide, {}, 20),
  { ...unary("Gelu", wide, { approximate: "tanh" }, 20), tolerance: 4e-3 },
  unary("Swish", wide, {}, 24),
  unary("Swish", wide, { alpha: 1.7 }, 24),
  // Its kernel for float64 counts in float32.
  { ...unary("Shrink", undefined, { lambd: 0.1, bias: 0.1 }), single: true },
  {
    name: "Cast to double and back",
    single: true,
    inputs: { x: { dims: ["batch", 4] } },
    build: (b, { x }) => b.op("Cast", [b.op("Exp", [b.op("Cast", [x!], { to: 11 })])], { to: 1 }),
  },
  {
    name: "CastLike",
    inputs: { x: { dims: ["batch", 4] }, like: { dims: [], fixed: true } },
    build: (b, { x, like }) => b.op("CastLike", [b.op("Exp", [x!]), like!]),
  },
  {
    name: "Clip both bounds",
    inputs: { x: { dims: ["batch", 7] } },
    build: (b, { x }, f) => b.op("Clip", [x!, b.constant([-0.4], [], f), b.constant([0.3], [], f)]),
  },
  {
    name: "Clip lower bound only",
    inputs: { x: { dims: ["batch", 7] } },
    build: (b, { x }, f) => b.op("Clip", [x!, b.constant([-0.4], [], f)]),
  },
  ...(
    [
      ["batch", -0.4, 0.3],
      ["batch", 0.3, -0.4],
      ["batch", 0.05, undefined],
      ["batch", undefined, -0.05],
    ] as const
  ).map(([rows, low, high]): Case => ({
    name: `Clip with active bounds ${low} ${high}`,
    inputs: {
      x: { dims: [rows, 7] },
      ...(low === undefined ? {} : { low: { dims: [], values: () => [low + 0.01] } }),
      ...(high === undefined ? {} : { high: { dims: [], values: () => [high + 0.01] } }),
    },
    build: (b, { x, low, high }) => b.op("Clip", [x!, low ?? null, high ?? null]),
  })),
  {
    name: "Dropout in training mode that drops nothing",
    inputs: { x: { dims: ["batch", 4] } },
    build: (b, { x }, f) => b.op("Dropout", [x!, b.constant([0], [], f), b.constant([1], [], 9)]),
  },
  {
    name: "Dropout at inference",
    inputs: { x: { dims: ["batch", 7] } },
    build: (b, { x }, f) => b.op("Dropout", [x!, b.constant([0.5], [], f)]),
  },
  {
    name: "Trilu",
    inputs: { x: { dims: ["batch", 4, 5] } },
    build: (b, { x }) => b.op("Trilu", [x!, b.int(1)], { upper: 0 }),
  },
  {
    name: "PRelu with an active slope per channel",
    inputs: { x: { dims: ["batch", 3, 4] }, slope: { dims: [3, 1] } },
    build: (b, { x, slope }) => b.op("PRelu", [x!, slope!]),
  },
  ...["Add", "Sub", "Mul", "Div"].flatMap((opType): Case[] =>
    (
      [
        [
          ["batch", 3],
          ["batch", 3],
        ],
        [["batch", 3, 5], [5]],
        [
          [5, 1],
          ["batch", 1, 4],
        ],
        [
          ["batch", 1, 2],
          ["batch", 3, 1],
        ],
        [[], ["batch", 2]],
        [
          ["batch", "n"],
          ["n", "batch"],
        ],
      ] as (string | number)[][][]
    ).map(([p, q]) => ({
      name: `${opType} ${JSON.stringify(p)} ${JSON.stringify(q)}`,
      inputs: { a: { dims: p! }, c: { dims: q!, values: positive } },
      build: (b, { a, c }) => b.op(opType, [a!, c!]),
    })),
  ),
  {
    name: "one tensor as both operands",
    inputs: { x: { dims: ["batch", 3] } },
    build: (b, { x }) => b.op("Mul", [x!, x!]),
  },
  {
    name: "sizes known only at run time are summed back over the axes that broadcast",
    inputs: { a: { dims: ["batch", null, 4] }, c: { dims: ["rows", 1] } },
    build: (b, { a, c }) => b.op("Mul", [a!, c!]),
  },
  ...["Sum", "Mean", "Max", "Min"].map((opType): Case => ({
    name: `${opType} of three`,
    inputs: {
      a: { dims: ["batch", 3], values: uniform },
      c: { dims: [3], values: uniform },
      d: { dims: ["batch", 1], values: uniform },
    },
    build: (b, { a, c, d }) => b.op(opType, [a!, c!, d!]),
    step: opType === "Mean" ? 0.5 : 1e-6,
    tolerance: 1e-5,
  })),
  ...[2, 3, 0.5, -1, 1, 2.5, 0].map((exponent): Case => ({
    name: `Pow ${exponent}`,
    inputs: { x: { dims: ["batch", 5], values: exponent % 1 || exponent < 0 ? positive : undefined } },
    build: (b, { x }, f) => b.op("Pow", [x!, b.constant([exponent], [], f)]),
  })),
  {
    name: "Pow with an active exponent",
    inputs: { x: { dims: ["batch", 5], values: positive }, p: { dims: [5], values: positive } },
    build: (b, { x, p }) => b.op("Pow", [x!, p!]),
  },
  {
    name: "Pow with an integer exponent",
    inputs: { x: { dims: ["batch", 5] } },
    build: (b, { x }) => b.op("Pow", [x!, b.int(3)]),
  },
  {
    name: "Where with broadcasting",
    inputs: {
      c: {
        dims: ["batch", 1, 3],
        type: "bool",
        values: (next, n) => Array.from({ length: n }, () => Number(next() < 0.5)),
      },
      x: { dims: ["batch", 2, 3] },
      z: { dims: [3] },
    },
    build: (b, { c, x, z }) => b.op("Where", [c!, x!, z!]),
  },
  {
    name: "Mod of floats",
    inputs: {
      x: { dims: ["batch", 4], values: (n, c) => uniform(n, c, 2.1, 2.4) },
      d: { dims: [1], values: () => [1] },
    },
    build: (b, { x, d }) => b.op("Mod", [x!, d!], { fmod: 1 }),
  },
];

describe("onnx rules: elementwise", () => {
  for (const spec of cases) it(spec.name, () => checkGradient(spec));
});
