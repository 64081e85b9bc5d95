/** Elementwise operators of one tensor. At kinks they decide as PyTorch does. */
import { float, int, string } from "../attributes.js";
import type { Builder } from "../builder.js";
import { DataType, isFloat } from "../tensors.js";
import { blocked, hasWholeBlocks, isBlocked } from "./blocked.js";
import { define, broadcasting, steep, type RuleContext } from "./rule.js";

/** A rule for y = f(x): `slope` emits f'(x), which is multiplied by the adjoint. */
function slope(opType: string, f: (c: RuleContext) => string): void {
  define(opType, (c) => [() => c.b.op("Mul", [c.g, f(c)])]);
}

/** a · x + c with numbers. */
function affine(b: Builder, x: string, a: number, c: number): string {
  if (a === -1) return c === 0 ? b.op("Neg", [x]) : b.op("Sub", [b.scalar(c, x), x]);
  const scaled = a === 1 ? x : b.op("Mul", [x, b.scalar(a, x)]);
  return c === 0 ? scaled : b.op("Add", [scaled, b.scalar(c, x)]);
}

/**
 * g where `mask` holds, else zero. ONNX Runtime's Where makes two selections and merges them, all on one thread: for
 * 26 MB it takes 34 ms where Cast and Mul take 12.
 */
function masked(b: Builder, mask: string, g: string): string {
  return b.op("Mul", [g, b.castLike(mask, g)]);
}

/**
 * g where y > 0, else `below` · g, for rectifiers with this slope below zero, 0 to 1. Where convolutions hand their blocked layout on
 * (blocked.ts), the factor is made in it: a depthwise convolution scales y by 2¹²⁷, and what the runtime folds into it cuts at 1: for a
 * slope of 0 a HardSigmoid that scales again, which takes every positive y to 1, otherwise a Clip, which takes all but subnormal ones
 * there. A step of R3GAN at 64 pixels spends a quarter less time with it. Where y is NaN, and the outputs say so themselves, the adjoint
 * is 0, or NaN in blocks; PyTorch's is g.
 */
function maskedByPositive({ b, y, g, target }: RuleContext, below = 0): string {
  if (target !== "cpu" || !hasWholeBlocks(b, y) || !isBlocked(b, y)) {
    const positive = b.op("Greater", [y, b.scalar(0, y)]);
    if (below === 0) return masked(b, positive, g);
    return b.op("Mul", [g, b.op("Max", [b.castLike(positive, g), b.scalar(below, g)])]);
  }
  const channels = b.shapes.dims(y)![1] as number;
  const weights = b.filled(steep, [channels, 1, 1, 1], y);
  const scaled = b.op("Conv", [y, weights], { group: channels, kernel_shape: [1, 1] });
  const factor =
    below === 0
      ? b.op("HardSigmoid", [scaled], { alpha: steep, beta: 0 })
      : b.op("Clip", [scaled, b.scalar(below, y), b.scalar(1, y)]);
  return b.op("Mul", [blocked(b, g), factor]);
}

define("Identity", ({ g }) => [() => g]);
define("Neg", ({ b, g }) => [() => b.op("Neg", [g])]);
// Adjoints of integers are float32.
define("Cast", ({ b, g, x }) => [
  () => {
    const from = b.shapes.elemType(x[0]!);
    if (from === 0 || isFloat(from)) return b.castLike(g, x[0]!);
    return b.shapes.elemType(g) === DataType.FLOAT ? g : b.op("Cast", [g], { to: DataType.FLOAT });
  },
]);
// Reached with `straightThrough` alone.
define("Round", ({ g }) => [() => g]);
define("CastLike", ({ b, g, x }) => [() => b.castLike(g, x[0]!), null]);

// Rectifiers. relu'(0) = 0, and y > 0 exactly where x > 0, so the input need not be kept.
define("Relu", (c) => [() => maskedByPositive(c)]);
define("ThresholdedRelu", ({ b, g, x, node }) => [
  () => masked(b, b.op("Greater", [x[0]!, b.scalar(float(node, "alpha", 1), x[0]!)]), g),
]);
define("LeakyRelu", (c) => [
  () => {
    const { b, g, x, node } = c;
    const alpha = float(node, "alpha", 0.01);
    // The input need not be kept, and can be folded into the convolution that makes it. A third of the time of Where (see `masked`).
    if (alpha >= 0 && alpha <= 1) return maskedByPositive(c, alpha);
    return b.op("Where", [b.op("Greater", [x[0]!, b.scalar(0, g)]), g, affine(b, g, alpha, 0)]);
  },
]);
define(
  "PRelu",
  broadcasting(({ b, g, x }) => {
    const positive = (): string => b.op("Greater", [x[0]!, b.scalar(0, x[0]!)]);
    return [
      () => b.op("Where", [positive(), g, b.op("Mul", [g, x[1]!])]),
      () => b.op("Where", [positive(), b.scalar(0, g), b.op("Mul", [g, x[0]!])]),
    ];
  }),
);
// y = α(eˣ − 1) below zero, so the slope there is y + α.
slope("Elu", ({ b, x, y, node }) => expSlope(b, x[0]!, y, float(node, "alpha", 1), 1));
slope("Selu", ({ b, x, y, node }) => {
  const gamma = float(node, "gamma", 1.05070102214813232421875);
  return expSlope(b, x[0]!, y, gamma * float(node, "alpha", 1.67326319217681884765625), gamma);
});
// y = α(e^{x/α} − 1) below zero: slope y / α + 1.
slope("Celu", ({ b, x, y, node }) => {
  const below = affine(b, y, 1 / float(node, "alpha", 1), 1);
  return b.op("Where", [b.op("Greater", [x[0]!, b.scalar(0, y)]), b.scalar(1, y), below]);
});
function expSlope(b: Builder, x: string, y: string, shift: number, above: number): string {
  return b.op("Where", [b.op("Greater", [x, b.scalar(0, x)]), b.scalar(above, y), affine(b, y, 1, shift)]);
}

// Sigmoids.
slope("Sigmoid", ({ b, y }) => b.op("Mul", [y, affine(b, y, -1, 1)]));
slope("Tanh", ({ b, y }) => b.op("Sub", [b.scalar(1, y), b.op("Mul", [y, y])]));
slope("Softplus", ({ b, x }) => b.op("Sigmoid", [x[0]!]));
slope("Softsign", ({ b, y }) => {
  // 1 − |y| = 1 / (1 + |x|)
  const rest = b.op("Sub", [b.scalar(1, y), b.op("Abs", [y])]);
  return b.op("Mul", [rest, rest]);
});
define("HardSigmoid", ({ b, g, y, node }) => [
  () => {
    const inside = b.op("And", [b.op("Greater", [y, b.scalar(0, y)]), b.op("Less", [y, b.scalar(1, y)])]);
    return b.op("Where", [inside, affine(b, g, float(node, "alpha", 0.2), 0), b.scalar(0, g)]);
  },
]);
slope("HardSwish", ({ b, x: [x] }) => {
  // At a bend the slope is that of the outside; PyTorch's own kernels are of two minds there.
  const inside = b.op("Less", [b.op("Abs", [x!]), b.scalar(3, x!)]);
  const above = b.castLike(b.op("Greater", [x!, b.scalar(0, x!)]), x!);
  return b.op("Where", [inside, affine(b, x!, 1 / 3, 0.5), above]);
});
slope("Mish", ({ b, x: [x] }) => {
  const t = b.op("Tanh", [b.op("Softplus", [x!])]);
  const inner = b.op("Mul", [b.op("Sigmoid", [x!]), b.op("Sub", [b.scalar(1, t), b.op("Mul", [t, t])])]);
  return b.op("Add", [t, b.op("Mul", [x!, inner])]);
});
slope("Swish", ({ b, x: [x], node }) => {
  const alpha = float(node, "alpha", 1);
  const s = b.op("Sigmoid", [affine(b, x!, alpha, 0)]);
  const bend = b.op("Mul", [affine(b, x!, alpha, 0), affine(b, s, -1, 1)]);
  return b.op("Mul", [s, affine(b, bend, 1, 1)]);
});
slope("Erf", ({ b, x: [x] }) => {
  const bell = b.op("Exp", [b.op("Neg", [b.op("Mul", [x!, x!])])]);
  return affine(b, bell, 2 / Math.sqrt(Math.PI), 0);
});
slope("Gelu", ({ b, x: [x], node }) =>
  string(node, "approximate", "none") === "tanh" ? geluTanhSlope(b, x!) : geluSlope(b, x!),
);
/** Φ(x) + x φ(x). */
function geluSlope(b: Builder, x: string): string {
  const cdf = affine(b, b.op("Erf", [affine(b, x, Math.SQRT1_2, 0)]), 0.5, 0.5);
  const bell = b.op("Exp", [affine(b, b.op("Mul", [x, x]), -0.5, 0)]);
  return b.op("Add", [cdf, b.op("Mul", [x, affine(b, bell, 1 / Math.sqrt(2 * Math.PI), 0)])]);
}
/** y = x (1 + t) / 2 with t = tanh(k (x + 0.044715 x³)). */
function geluTanhSlope(b: Builder, x: string): string {
  const k = Math.sqrt(2 / Math.PI);
  const square = b.op("Mul", [x, x]);
  const t = b.op("Tanh", [b.op("Mul", [x, affine(b, square, 0.044715 * k, k)])]);
  const bend = b.op("Mul", [
    b.op("Sub", [b.scalar(1, t), b.op("Mul", [t, t])]),
    affine(b, square, 3 * 0.044715 * k, k),
  ]);
  return affine(b, b.op("Add", [affine(b, t, 1, 1), b.op("Mul", [x, bend])]), 0.5, 0);
}

// Powers, exponentials, logarithms.
slope("Exp", ({ y }) => y);
define("Log", ({ b, g, x }) => [() => b.op("Div", [g, x[0]!])]);
// The slope at 0 is infinite; 0 is taken, so that the norm of a zero vector has the gradient 0 and not NaN.
define("Sqrt", ({ b, g, y }) => [
  () => {
    const safe = b.op("Where", [b.op("Equal", [y, b.scalar(0, y)]), b.scalar(Infinity, y), y]);
    return affine(b, b.op("Div", [g, safe]), 0.5, 0);
  },
]);
slope("Reciprocal", ({ b, y }) => b.op("Neg", [b.op("Mul", [y, y])]));
slope("Abs", ({ b, x }) => b.op("Sign", [x[0]!]));

// Trigonometric and hyperbolic.
slope("Sin", ({ b, x }) => b.op("Cos", [x[0]!]));
slope("Cos", ({ b, x }) => b.op("Neg", [b.op("Sin", [x[0]!])]));
slope("Tan", ({ b, y }) => affine(b, b.op("Mul", [y, y]), 1, 1));
slope("Sinh", ({ b, x }) => b.op("Cosh", [x[0]!]));
slope("Cosh", ({ b, x }) => b.op("Sinh", [x[0]!]));
/** 1 / √(a x² + c), times `sign`. */
function inverseRoot(opType: string, a: number, c: number, sign = 1): void {
  slope(opType, ({ b, x: [x] }) => {
    const root = b.op("Sqrt", [affine(b, b.op("Mul", [x!, x!]), a, c)]);
    return b.op("Div", [b.scalar(sign, x!), root]);
  });
}
inverseRoot("Asin", -1, 1);
inverseRoot("Acos", -1, 1, -1);
inverseRoot("Asinh", 1, 1);
inverseRoot("Acosh", 1, -1);
slope("Atan", ({ b, x: [x] }) => b.op("Reciprocal", [affine(b, b.op("Mul", [x!, x!]), 1, 1)]));
slope("Atanh", ({ b, x: [x] }) => b.op("Reciprocal", [affine(b, b.op("Mul", [x!, x!]), -1, 1)]));

// The bounds belong to the inside, as in torch.clamp: exactly where y = x. An upper bound below the lower one wins.
define("Clip", ({ b, g, x: [x, low, high], y, rank }) => {
  const bound = (hit: string): string =>
    b.sum(
      masked(b, hit, g),
      Array.from({ length: rank(y) }, (_, axis) => axis),
      false,
    );
  return [
    () => masked(b, b.op("Equal", [x!, y]), g),
    () => {
      const below = b.op("Less", [x!, low!]);
      return bound(high ? b.op("And", [below, b.op("Less", [low!, high])]) : below);
    },
    () => {
      const above = b.op("Greater", [x!, high!]);
      return bound(low ? b.op("Or", [above, b.op("Less", [high!, low])]) : above);
    },
  ];
});
define("Dropout", ({ b, g, x, fail }) => [
  () => {
    const training = x[2] ? b.shapes.numbers(x[2])?.[0] : 0;
    // Some exports leave the switch on where the ratio is 0, and nothing is dropped.
    const drops = !x[1] || b.shapes.numbers(x[1])?.[0] !== 0;
    if (training !== 0 && drops) throw fail("it is in training mode: export the model in evaluation mode");
    return g;
  },
]);
define("Shrink", ({ b, g, x, node }) => [
  () => masked(b, b.op("Greater", [b.op("Abs", [x[0]!]), b.scalar(float(node, "lambd", 0.5), x[0]!)]), g),
]);
define("Trilu", ({ b, g, x, node }) => [
  () => b.op("Trilu", [g, x[1] || null], { upper: int(node, "upper", 1) }),
  null,
]);
