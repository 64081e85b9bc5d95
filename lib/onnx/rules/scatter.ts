/** Operators that pick or place elements by index. Picking twice adds up in the adjoint. */
import { int, string } from "../attributes.js";
import type { Builder } from "../builder.js";
import { scatterFlat } from "./movement.js";
import { define, expanded, type InputAdjoint, type RuleContext } from "./rule.js";

/** 0, 1, 2, … in the shape of `like`: what an operator does to these says where it takes its elements from. */
export function positionsOf(b: Builder, like: string): string {
  const all = b.op("Range", [b.int(0), b.count(like), b.int(1)]);
  return b.op("Reshape", [all, b.shapeOf(like)], { allowzero: 1 });
}

define("GatherND", ({ b, g, x, node }) => [
  () => {
    const picked = b.op("GatherND", [positionsOf(b, x[0]!), x[1]!], {
      batch_dims: int(node, "batch_dims", 0),
    });
    return scatterFlat(b, g, picked, x[0]!);
  },
  null,
]);
define("Compress", ({ b, g, x, node }) => [
  () => {
    const axis = node.attributes.has("axis") ? int(node, "axis", 0) : undefined;
    return scatterFlat(b, g, b.op("Compress", [positionsOf(b, x[0]!), x[1]!], { axis }), x[0]!);
  },
  null,
]);
// Of equal elements (or rows) the first one is handed out.
define(
  "Unique",
  expanded(({ b, x, node, output }) => {
    if (node.attributes.has("axis"))
      return b.op("Gather", [x[0]!, output(1)], { axis: int(node, "axis", 0) });
    return b.op("Gather", [b.op("Reshape", [x[0]!, b.ints([-1])]), output(1)], { axis: 0 });
  }),
);
// The values that were picked; their places are all different.
define("TopK", ({ b, g, x, node, output }) => [
  () => b.op("ScatterElements", [b.filledLike(0, x[0]!), output(1), g], { axis: int(node, "axis", -1) }),
  null,
]);

/** How an operator places updates, and how the places it writes to are read. */
interface Placing {
  gather: (from: string) => string;
  scatter: (into: string, updates: string, reduction: string) => string;
}

/** (data, indices, updates) → data with the updates put in, added, multiplied, or compared with. */
function placing(c: RuleContext, { gather, scatter }: Placing): InputAdjoint[] {
  const { b, g, x, y, node } = c;
  const reduction = string(node, "reduction", "none");
  switch (reduction) {
    case "none":
      return [() => scatter(g, b.filledLike(0, x[2]!), "none"), null, () => gather(g)];
    case "add":
      return [() => g, null, () => gather(g)];
    case "mul":
      return [
        () => scatter(g, x[2]!, "mul"),
        null,
        () => b.op("Mul", [b.op("Mul", [gather(g), gather(x[0]!)]), otherFactors(c, gather)]),
      ];
    default: {
      // max, min: everything that equals the result shares the adjoint evenly, as in torch.scatter_reduce.
      const kept = (): string => b.castLike(b.op("Equal", [x[0]!, y]), g);
      const hits = (): string => b.castLike(b.op("Equal", [x[2]!, gather(y)]), g);
      const share = (): string => b.op("Div", [g, scatter(kept(), hits(), "add")]);
      // Where nothing equals the result there is nothing to share (NaN), so the quotient is masked, not multiplied.
      const where = (mask: string, value: string): string =>
        b.op("Where", [b.op("Greater", [mask, b.scalar(0, mask)]), value, b.scalar(0, value)]);
      return [() => where(kept(), share()), null, () => where(hits(), gather(share()))];
    }
  }
}

/** Updates for which a table of all pairs is made: a million entries. */
const maxFactors = 1024;

/** For every update the product of the others that are written to the same place; right where some are zero. */
function otherFactors({ b, x, fail }: RuleContext, gather: Placing["gather"]): string {
  const updates = x[2]!;
  const count = b.shapes.staticDims(updates)?.reduce((p, q) => p * q, 1);
  if (count === undefined || count > maxFactors)
    throw fail(
      `its updates are factors that depend on the input, and there are ${count ?? "a number only known at run time"} of ` +
        `them, more than ${maxFactors}`,
    );
  const places = gather(positionsOf(b, x[0]!));
  const [column, row] = [
    b.op("Reshape", [places, b.ints([count, 1])]),
    b.op("Reshape", [places, b.ints([1, count])]),
  ];
  const numbers = b.op("Range", [b.int(0), b.int(count), b.int(1)]);
  const itself = b.op("Equal", [b.unsqueeze(numbers, [1]), b.unsqueeze(numbers, [0])]);
  const shared = b.op("And", [b.op("Equal", [column, row]), b.op("Not", [itself])]);
  const factors = b.op("Where", [
    shared,
    b.op("Reshape", [updates, b.ints([1, count])]),
    b.scalar(1, updates),
  ]);
  return b.reshapeLike(b.op("ReduceProd", [factors, b.ints([1])], { keepdims: 0 }), updates);
}

define("ScatterElements", (c) => {
  const axis = int(c.node, "axis", 0);
  return placing(c, {
    gather: (from) => c.b.op("GatherElements", [from, c.x[1]!], { axis }),
    scatter: (into, updates, reduction) =>
      c.b.op("ScatterElements", [into, c.x[1]!, updates], { axis, reduction }),
  });
});
define("ScatterND", (c) => {
  const { b, x } = c;
  const gather = (from: string): string => b.op("GatherND", [from, x[1]!]);
  return placing(c, {
    gather,
    scatter: (into, updates, reduction) => {
      if (reduction === "none") return b.op("ScatterND", [into, x[1]!, updates]);
      // Element by element: ONNX Runtime's ScatterND works on rows in parallel, equal rows too.
      const flat = [into, gather(positionsOf(b, into)), updates].map((value) =>
        b.op("Reshape", [value, b.ints([-1])]),
      );
      return b.reshapeLike(b.op("ScatterElements", flat, { axis: 0, reduction }), into);
    },
  });
});

// values = [off, on]
define("OneHot", ({ b, g, x, node, rank }) => [
  null,
  null,
  () => {
    const axes = Array.from({ length: rank(g) }, (_, axis) => axis);
    const sum = (value: string): string => b.unsqueeze(b.sum(value, axes, false), [0]);
    const hot = b.op("OneHot", [x[0]!, x[1]!, b.constantLike([0, 1], [2], g)], {
      axis: int(node, "axis", -1),
    });
    const on = sum(b.op("Mul", [g, hot]));
    return b.op("Concat", [b.op("Sub", [sum(g), on]), on], { axis: 0 });
  },
]);

define("ReverseSequence", ({ b, g, x, node }) => [
  () =>
    b.op("ReverseSequence", [g, x[1]!], {
      batch_axis: int(node, "batch_axis", 1),
      time_axis: int(node, "time_axis", 0),
    }),
  null,
]);
