/** Reductions and the softmax family. */
import { int } from "../attributes.js";
import type { Builder } from "../builder.js";
import { define, expanded, type NodeContext, type Rule, type RuleContext } from "./rule.js";

/**
 * A reduction's rule: `f` gets the adjoint and the output with the reduced axes kept, so that both broadcast
 * against the input, and emits the input's adjoint (broadcast to its shape afterwards where it is not yet).
 */
function reduction(opType: string, f: (c: RuleContext, g: string, y: string) => string): void {
  const rule: Rule = (c) => [
    () => {
      const { b, x } = c;
      const [g, y] = [keepAxes(c, c.g), () => keepAxes(c, c.y)];
      const wide = f(c, g, y());
      return wide === g || b.shapes.dims(wide) === null || !sameDims(b, wide, x[0]!)
        ? b.op("Expand", [wide, b.shapeOf(x[0]!)])
        : wide;
    },
    null,
  ];
  define(opType, rule);
}

function sameDims(b: Builder, p: string, q: string): boolean {
  const [a, c] = [b.shapes.dims(p), b.shapes.dims(q)];
  return (
    a !== null && c !== null && a.length === c.length && a.every((dim, i) => dim !== null && dim === c[i])
  );
}

/** `value`, of the output's shape, with ones where axes were reduced away. */
function keepAxes({ b, x, node, rank }: RuleContext, value: string): string {
  if (int(node, "keepdims", 1) !== 0) return value;
  const axes = x[1] ? b.shapes.numbers(x[1]) : [];
  if (axes?.length === 0 || (!axes && !x[1])) {
    if (int(node, "noop_with_empty_axes", 0) !== 0) return value;
    return b.op("Reshape", [value, b.ints(new Array<number>(rank(x[0]!)).fill(1))]);
  }
  return axes ? b.unsqueeze(value, axes) : b.op("Unsqueeze", [value, x[1]!]);
}

/** How many elements each output sums up: a number, or a scalar value of the type of `g`. */
function reducedCount({ b, x, y }: RuleContext): number | null {
  const [from, to] = [b.shapes.dims(x[0]!), b.shapes.dims(y)];
  if (!from || !to) return null;
  // A free batch that is kept stands in both shapes and cancels out.
  const free = (dims: typeof from): string =>
    dims
      .filter((dim) => typeof dim !== "number")
      .sort()
      .join();
  if (free(from) !== free(to)) return null;
  const count = (dims: typeof from): number =>
    dims.reduce<number>((p, dim) => (typeof dim === "number" ? p * dim : p), 1);
  return count(to) === 0 ? null : count(from) / count(to);
}

reduction("ReduceSum", (_, g) => g);
reduction("ReduceMean", (c, g) => {
  const { b, x, y } = c;
  const count = reducedCount(c);
  if (count !== null) return b.op("Mul", [g, b.scalar(1 / count, g)]);
  return b.op("Div", [g, b.castLike(b.op("Div", [b.op("Size", [x[0]!]), b.op("Size", [y])]), g)]);
});
// Ties share the adjoint evenly, as in torch.amax.
for (const opType of ["ReduceMax", "ReduceMin"])
  reduction(opType, ({ b, x, node }, g, y) => {
    const hit = b.castLike(b.op("Equal", [x[0]!, y]), g);
    const ties = b.op("ReduceSum", [hit, x[1] || null], {
      keepdims: 1,
      noop_with_empty_axes: int(node, "noop_with_empty_axes", 0),
    });
    return b.op("Mul", [hit, b.op("Div", [g, ties])]);
  });
reduction("ReduceL1", ({ b, x }, g) => b.op("Mul", [g, b.op("Sign", [x[0]!])]));
// x / ‖x‖, and 0 for the zero vector, whose own slope is taken as 0 too.
reduction("ReduceL2", ({ b, x }, g, y) => {
  const safe = b.op("Where", [b.op("Equal", [y, b.scalar(0, y)]), b.scalar(Infinity, y), y]);
  return b.op("Mul", [x[0]!, b.op("Div", [g, safe])]);
});
reduction("ReduceSumSquare", ({ b, x }, g) => b.op("Mul", [x[0]!, b.op("Mul", [g, b.scalar(2, g)])]));
reduction("ReduceLogSum", ({ b }, g, y) => b.op("Div", [g, b.op("Exp", [y])]));
reduction("ReduceLogSumExp", ({ b, x }, g, y) => b.op("Mul", [g, b.op("Exp", [b.op("Sub", [x[0]!, y])])]));
// A tree of products, whose adjoints are right where factors are zero, to any order: a quotient of the product would not be.
define(
  "ReduceProd",
  expanded((c) => {
    const { b, x, y, node, rank } = c;
    const count = rank(x[0]!);
    const given = x[1] ? b.shapes.numbers(x[1]) : [];
    if (!given) throw c.fail("its axes are known only at run time");
    const all = given.length === 0 && int(node, "noop_with_empty_axes", 0) === 0;
    const axes = all
      ? Array.from({ length: count }, (_, axis) => axis)
      : given.map((axis) => c.axis(axis, count));
    return b.reshapeLike(
      axes.reduce((value, axis) => productAlong(c, value, axis), x[0]!),
      y,
    );
  }),
);

/** Halvings of an axis whose size is known only at run time: enough for 2³² elements, which no tensor has. */
const maxLevels = 32;

/**
 * The product along an axis, which becomes 1: halves are multiplied until one element is left. An odd axis gets a 1, one
 * without elements two of them.
 */
function productAlong({ b }: NodeContext, value: string, axis: number): string {
  const size = b.shapes.dims(value)![axis];
  const levels = typeof size === "number" ? Math.ceil(Math.log2(size || 2)) : maxLevels;
  for (let level = 0; level < levels; level++) {
    const length = b.shapes.dims(value)![axis];
    const missing = typeof length === "number" ? (length === 0 ? 2 : length % 2) : null;
    const pads =
      missing === null
        ? b.op("Concat", [b.ints([0]), onesMissing(b, b.sizes(value, [axis]))], { axis: 0 })
        : b.ints([0, missing]);
    const even = missing === 0 ? value : b.op("Pad", [value, pads, b.scalar(1, value), b.ints([axis])]);
    const [front, back] = b.ops("Split", [even], 2, { axis, num_outputs: 2 }) as [string, string];
    b.shapes.adopt(back, front);
    value = b.op("Mul", [front, back]);
  }
  return value;
}

/** To an even number above 0: max(n mod 2, 2 − 2n). */
function onesMissing(b: Builder, n: string): string {
  const two = b.ints([2]);
  return b.op("Max", [b.op("Mod", [n, two]), b.op("Sub", [two, b.op("Mul", [n, two])])]);
}

// Softmax along one axis. y ⊙ (g − Σ g ⊙ y)
define("Softmax", ({ b, g, y, node }) => [
  () => {
    const weighted = b.op("Mul", [g, y]);
    const total = b.sum(weighted, [int(node, "axis", -1)], true);
    return b.op("Sub", [weighted, b.op("Mul", [y, total])]);
  },
]);
// g − softmax(x) Σ g
define("LogSoftmax", ({ b, g, y, node }) => [
  () => b.op("Sub", [g, b.op("Mul", [b.op("Exp", [y]), b.sum(g, [int(node, "axis", -1)], true)])]),
]);

// Cumulative sums run backwards.
define("CumSum", ({ b, g, x, node }) => [
  () =>
    b.op("CumSum", [g, x[1]!], {
      exclusive: int(node, "exclusive", 0),
      reverse: int(node, "reverse", 0) ? 0 : 1,
    }),
  null,
]);

// y_i = Π_{j ≤ i} x_j by doubling: every step multiplies with what lies twice as far back. Right at zeros to any order.
define(
  "CumProd",
  expanded((c) => {
    const { b, x, node, rank, fail } = c;
    const given = b.shapes.numbers(x[1]!)?.[0];
    const size = given === undefined ? null : b.shapes.dims(x[0]!)?.[c.axis(given, rank(x[0]!))];
    if (given === undefined || typeof size !== "number")
      throw fail("its axis, or the size of it, is known only at run time");
    const backwards = int(node, "reverse", 0) !== 0;
    // Ones come in at one end, and as many elements leave at the other.
    const shifted = (value: string, by: number): string =>
      b.op("Pad", [value, b.ints(backwards ? [-by, by] : [by, -by]), b.scalar(1, value), b.ints([given])]);
    let value = int(node, "exclusive", 0) !== 0 && size > 0 ? shifted(x[0]!, 1) : x[0]!;
    for (let step = 1; step < size; step *= 2) value = b.op("Mul", [value, shifted(value, step)]);
    return value;
  }),
);

// start + i · delta, as many as there are below the limit.
define("Range", ({ b, g, y }) => [
  () => b.op("ReduceSum", [g], { keepdims: 0 }),
  null,
  () => {
    const places = b.op("Range", [b.int(0), b.op("Size", [y]), b.int(1)]);
    return b.op("ReduceSum", [b.op("Mul", [g, b.castLike(places, g)])], { keepdims: 0 });
  },
]);
