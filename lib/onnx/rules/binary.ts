/** Elementwise operators of several tensors, with NumPy broadcasting. */
import type { Builder } from "../builder.js";
import { tensorDims } from "../tensors.js";
import { broadcasting, define, type InputAdjoint, type RuleContext } from "./rule.js";

define(
  "Add",
  broadcasting(({ g }) => [() => g, () => g]),
);
define(
  "Sub",
  broadcasting(({ b, g }) => [() => g, () => b.op("Neg", [g])]),
);
define(
  "Mul",
  broadcasting((c) => {
    const { b, g, x } = c;
    return swish(c) ?? [() => b.op("Mul", [g, x[1]!]), () => b.op("Mul", [g, x[0]!])];
  }),
);
define(
  "Div",
  broadcasting(({ b, g, x, y }) => [
    () => b.op("Div", [g, x[1]!]),
    // −g a / b² = −(g / b) y
    () => b.op("Neg", [b.op("Mul", [b.op("Div", [g, x[1]!]), y])]),
  ]),
);
define(
  "Sum",
  broadcasting(({ g, x }) => x.map(() => () => g)),
);
define(
  "Mean",
  broadcasting(({ b, g, x }) => x.map(() => () => b.op("Mul", [g, b.scalar(1 / x.length, g)]))),
);
// Ties share the adjoint evenly, as in torch.maximum.
define("Max Min", broadcasting(extremum));
function extremum({ b, g, x, y }: RuleContext): (() => string)[] {
  if (x.length === 1) return [() => g];
  const hit = (i: number): string => b.castLike(b.op("Equal", [x[i]!, y]), g);
  const share = (): string =>
    b.op("Div", [
      g,
      b.op(
        "Sum",
        x.map((_, i) => hit(i)),
      ),
    ]);
  return x.map((_, i) => () => b.op("Mul", [share(), hit(i)]));
}

define(
  "Pow",
  broadcasting((c) => [() => powBase(c), () => powExponent(c)]),
);

/** p x^(p−1); 0 at x = 0 where that is infinite, so that the norm of a zero vector has the gradient 0. */
function powBase({ b, g, x: [x, p], y }: RuleContext): string {
  const exponent = b.shapes.numbers(p!)?.length === 1 ? b.shapes.numbers(p!)![0]! : null;
  const scaled = (by: number, value: string): string =>
    b.op("Mul", [g, b.op("Mul", [value, b.scalar(by, value)])]);
  if (exponent === 1) return g;
  if (exponent === 2) return scaled(2, x!);
  if (exponent === 0.5) {
    const root = b.op("Where", [b.op("Equal", [y, b.scalar(0, y)]), b.scalar(Infinity, y), y]);
    return b.op("Mul", [b.op("Div", [g, root]), b.scalar(0.5, g)]);
  }
  const zero = b.scalar(0, x!);
  const like = b.castLike(p!, x!);
  const power = b.op("Pow", [x!, b.op("Sub", [like, b.scalar(1, x!)])]);
  const product = b.op("Mul", [power, like]);
  if (exponent !== null && exponent > 1) return b.op("Mul", [g, product]);
  // Below 1 the power is infinite at 0, and at exponent 0 it is 0 · ∞.
  const singular = b.op("And", [b.op("Equal", [x!, zero]), b.op("Less", [like, b.scalar(1, x!)])]);
  return b.op("Mul", [g, b.op("Where", [singular, zero, product])]);
}

/** y ln x, and 0 at x = 0 as the limit is for p > 0. */
function powExponent({ b, g, x: [x, p], y }: RuleContext): string {
  const zero = b.op("Equal", [x!, b.scalar(0, x!)]);
  const log = b.op("Log", [b.op("Where", [zero, b.scalar(1, x!), x!])]);
  return b.castLike(b.op("Mul", [g, b.op("Mul", [y, log])]), p!);
}

define(
  "Where",
  broadcasting(({ b, g, x }) => [
    null,
    () => b.op("Where", [x[0]!, g, b.scalar(0, g)]),
    () => b.op("Where", [x[0]!, b.scalar(0, g), g]),
  ]),
);

// Mod with fmod has the slope 1 in the dividend; the divisor's slope is minus the truncated quotient.
define(
  "Mod",
  broadcasting(({ b, g, x, y }) => [
    () => g,
    () => b.op("Neg", [b.op("Mul", [g, b.op("Div", [b.op("Sub", [x[0]!, y]), x[1]!])])]),
  ]),
);

/**
 * y = u · σ(a u), which exports spell as two nodes or three, in one piece: the slope is s (1 + a u − a y) with s = σ(a u). Four passes over
 * memory in place of six: of 17 MB 13 ms in place of 20. null for other products.
 */
function swish({ b, g, x, y }: RuleContext): InputAdjoint[] | null {
  for (const [at, s] of x.entries()) {
    const u = x[1 - at]!;
    const sigmoid = b.maker(s);
    if (sigmoid?.opType !== "Sigmoid" || sigmoid.domain !== "") continue;
    const a = factorOf(b, sigmoid.inputs[0]!, u);
    if (a === null) continue;
    const slope = (): string => {
      const rest = b.op("Sub", [u, y]);
      const bend = b.op("Add", [a === 1 ? rest : b.op("Mul", [rest, b.scalar(a, y)]), b.scalar(1, y)]);
      return b.op("Mul", [g, b.op("Mul", [s, bend])]);
    };
    // What s would send on to u is in the slope.
    return at === 1 ? [slope, null] : [null, slope];
  }
  return null;
}

/** a with value = a · u for one number; null where it is something else. */
function factorOf(b: Builder, value: string, u: string): number | null {
  if (value === u) return 1;
  const scaling = b.maker(value);
  if (scaling?.opType !== "Mul" || scaling.domain !== "" || !scaling.inputs.includes(u)) return null;
  const by = scaling.inputs.find((input) => input !== u);
  const constant = by === undefined ? undefined : b.graph.initializers.get(by);
  if (!constant || tensorDims(constant).reduce((p, q) => p * q, 1) !== 1) return null;
  return b.shapes.numbers(by!)?.[0] ?? null;
}
