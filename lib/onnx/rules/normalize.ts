/** Normalisation layers. */
import { float, int, ints } from "../attributes.js";
import type { Builder } from "../builder.js";
import { DataType, readFloats } from "../tensors.js";
import { define, expanded, type RuleContext } from "./rule.js";

/** A per-channel vector [C] against [N, C, ...]: [C, 1, ...]. */
function perChannel(b: Builder, vector: string, rank: number): string {
  return rank <= 2 ? vector : b.op("Reshape", [vector, b.ints([-1, ...new Array<number>(rank - 2).fill(1)])]);
}

function axesButChannel(rank: number): number[] {
  return Array.from({ length: rank }, (_, axis) => axis).filter((axis) => axis !== 1);
}

// Inference: y = (x − mean) · k + bias with k = scale / √(var + ε), all per channel.
define("BatchNormalization", (c) => {
  const { b, g, x, node, fail, rank } = c;
  if (int(node, "training_mode", 0) !== 0)
    throw fail("it is in training mode: export the model in evaluation mode");
  const epsilon = float(node, "epsilon", 1e-5);
  const root = (): string => b.op("Sqrt", [b.op("Add", [x[4]!, b.scalar(epsilon, x[4]!)])]);
  const statistic = (): never => {
    throw fail("its statistics depend on the input");
  };
  return [
    () => {
      const count = rank(x[0]!);
      const factor = foldedFactor(c, count, epsilon) ?? perChannel(b, b.op("Div", [x[1]!, root()]), count);
      return b.op("Mul", [g, factor]);
    },
    () => {
      const count = rank(x[0]!);
      const centred = b.op("Sub", [x[0]!, perChannel(b, x[3]!, count)]);
      return b.op("Div", [b.sum(b.op("Mul", [g, centred]), axesButChannel(count), false), root()]);
    },
    () => b.sum(g, axesButChannel(rank(x[0]!)), false),
    statistic,
    statistic,
  ];
});

/** k as a constant, where scale and variance are constants. */
function foldedFactor({ b, x, g }: RuleContext, rank: number, epsilon: number): string | null {
  const [scale, variance] = [x[1]!, x[4]!].map((name) => {
    const constant = b.graph.initializers.get(name);
    return constant ? readFloats(constant) : null;
  });
  if (!scale || !variance) return null;
  const factor = Array.from(scale, (value, i) => value / Math.sqrt(variance[i]! + epsilon));
  return b.constantLike(factor, [factor.length, ...new Array<number>(Math.max(0, rank - 2)).fill(1)], g);
}

/**
 * The adjoint of x̂ = (x − mean) · r over some axes: r (g − mean g − x̂ · mean(g x̂)).
 */
function standardized(b: Builder, g: string, xHat: string, r: string, axes: readonly number[]): string {
  const mean = (value: string): string => b.op("ReduceMean", [value, b.ints(axes)], { keepdims: 1 });
  const along = b.op("Mul", [xHat, meanOfProduct(b, g, xHat, axes)]);
  return b.op("Mul", [r, b.op("Sub", [b.op("Sub", [g, along]), mean(g)])]);
}

/** Rows from this length on are multiplied as vectors. */
const longRow = 64;

/**
 * The mean of p · q over some axes, which stay with size 1. Of long rows [.., .., L] as products of vectors, which write nothing to memory: of
 * 17 MB twice 1.5 ms in place of 5.4.
 */
function meanOfProduct(b: Builder, p: string, q: string, axes: readonly number[]): string {
  const length = b.shapes.dims(p)?.[2];
  const rows =
    b.rank(p) === 3 && axes.length === 1 && axes[0] === 2 && b.shapes.elemType(p) === DataType.FLOAT;
  if (!rows || (typeof length === "number" && length < longRow))
    return b.op("ReduceMean", [b.op("Mul", [p, q]), b.ints(axes)], { keepdims: 1 });
  // The runtime reads the right side by columns only if it is turned by a node of its own.
  const column = b.op("Transpose", [b.unsqueeze(q, [2])], { perm: [0, 1, 3, 2] });
  const sums = b.op("Squeeze", [b.op("MatMul", [b.unsqueeze(p, [2]), column]), b.ints([3])]);
  return b.op("Mul", [sums, b.inverseCount(p, axes)]);
}

/** x̂ and r = 1 / √(var + ε) over some axes; x̂ may be there already. */
function standardize(
  b: Builder,
  x: string,
  axes: readonly number[],
  epsilon: number,
  known: string | null = null,
): { xHat: string; r: string } {
  const mean = (value: string): string => b.op("ReduceMean", [value, b.ints(axes)], { keepdims: 1 });
  const centred = b.op("Sub", [x, mean(x)]);
  const variance = meanOfProduct(b, centred, centred, axes);
  const r = b.op("Reciprocal", [b.op("Sqrt", [b.op("Add", [variance, b.scalar(epsilon, x)])])]);
  return { xHat: known ?? b.op("Mul", [centred, r]), r };
}

// Per image and channel over the spatial axes: y = x̂ · scale + bias. Group norms come as one whose channels are groups, without a
// scale: what it made is x̂.
define("InstanceNormalization", ({ b, g, x, y, node, rank }) => {
  const count = rank(x[0]!);
  const spatial = b.shapes.dims(x[0]!)!.slice(2);
  const flat = count > 3 && spatial.every((size) => typeof size === "number" && size > 0);
  const rows = (value: string): string => (flat ? b.reshape(value, [0, 0, -1]) : value);
  const axes = flat ? [2] : Array.from({ length: count - 2 }, (_, i) => i + 2);
  const unscaled = isAll(b, x[1]!, 1);
  const parts = () => {
    const known = unscaled && isAll(b, x[2]!, 0) ? rows(y) : null;
    return standardize(b, rows(x[0]!), axes, float(node, "epsilon", 1e-5), known);
  };
  return [
    () => {
      const { xHat, r } = parts();
      const scaled = unscaled ? g : b.op("Mul", [g, perChannel(b, x[1]!, count)]);
      return b.reshapeLike(standardized(b, rows(scaled), xHat, r, axes), x[0]!);
    },
    () => b.sum(b.op("Mul", [g, b.reshapeLike(parts().xHat, x[0]!)]), axesButChannel(count), false),
    () => b.sum(g, axesButChannel(count), false),
  ];
});

/** Whether a value is a constant whose elements are all this one. */
function isAll(b: Builder, name: string, value: number): boolean {
  const constant = b.graph.initializers.get(name);
  const data = constant && readFloats(constant);
  return data ? Array.prototype.every.call(data, (element) => element === value) : false;
}

// Over all axes from `axis` on: y = x̂ · scale + bias. The node can hand out its mean and r.
define("LayerNormalization", (c) => {
  const { b, grads, x, y, node, output, rank } = c;
  const count = rank(x[0]!);
  const first = c.axis(int(node, "axis", -1), count);
  const axes = Array.from({ length: count - first }, (_, i) => first + i);
  const parts = (): { xHat: string; r: string } => {
    if (b.shapes.elemType(x[0]!) !== DataType.FLOAT)
      return standardize(b, x[0]!, axes, float(node, "epsilon", 1e-5));
    const r = output(2);
    return { xHat: b.op("Mul", [b.op("Sub", [x[0]!, output(1)]), r]), r };
  };
  return [
    () => {
      const { xHat, r } = parts();
      // The statistics may be in float32 where x is not.
      const [g, ofMean, ofR] = grads.map((grad) => grad && b.castLike(grad, x[0]!));
      const terms = g ? [standardized(b, b.op("Mul", [g, x[1]!]), xHat, r, axes)] : [];
      // mean = Σ x / n and r = (var + ε)^(−1/2), so dr = −r² x̂ / n.
      const share = b.inverseCount(x[0]!, axes);
      if (ofMean) terms.push(b.op("Expand", [b.op("Mul", [ofMean, share]), b.shapeOf(x[0]!)]));
      if (ofR) {
        const slope = b.op("Mul", [b.op("Mul", [r, r]), share]);
        terms.push(b.op("Neg", [b.op("Mul", [xHat, b.op("Mul", [ofR, slope])])]));
      }
      return terms.reduce((p, q) => b.op("Add", [p, q]));
    },
    () => (grads[0] ? b.sumTo(b.op("Mul", [grads[0], parts().xHat]), y, x[1]!) : null),
    () => (grads[0] ? b.sumTo(grads[0], y, x[2]!) : null),
  ];
});

// Over all axes from `axis` on: y = x r · scale with r = 1 / √(mean x² + ε).
define("RMSNormalization", (c) => {
  const { b, g, x, y, node, rank } = c;
  const count = rank(x[0]!);
  const first = c.axis(int(node, "axis", -1), count);
  const axes = Array.from({ length: count - first }, (_, i) => first + i);
  const mean = (value: string): string => b.op("ReduceMean", [value, b.ints(axes)], { keepdims: 1 });
  const parts = (): { xHat: string; r: string } => {
    const square = mean(b.op("Mul", [x[0]!, x[0]!]));
    const epsilon = b.scalar(float(node, "epsilon", 1e-5), square);
    const r = b.op("Reciprocal", [b.op("Sqrt", [b.op("Add", [square, epsilon])])]);
    return { xHat: b.op("Mul", [x[0]!, r]), r };
  };
  return [
    () => {
      const { xHat, r } = parts();
      const scaled = b.op("Mul", [g, x[1]!]);
      const along = b.op("Mul", [xHat, mean(b.op("Mul", [scaled, xHat]))]);
      return b.op("Mul", [r, b.op("Sub", [scaled, along])]);
    },
    () => b.sumTo(b.op("Mul", [g, parts().xHat]), y, x[1]!),
  ];
});

// Per image and group of channels: y = x̂ · scale + bias. Scale and bias were per group before operator set 21.
define("GroupNormalization", ({ b, g, x, node, rank }) => {
  const count = rank(x[0]!);
  const groups = int(node, "num_groups", 1);
  const perGroup = b.graph.opsets.get("")! < 21;
  const rows = (value: string): string => b.reshape(value, [0, groups, -1]);
  const parts = () => standardize(b, rows(x[0]!), [2], float(node, "epsilon", 1e-5));
  return [
    () => {
      const { xHat, r } = parts();
      const scaled = perGroup
        ? b.op("Mul", [rows(g), b.unsqueeze(x[1]!, [1])])
        : rows(b.op("Mul", [g, perChannel(b, x[1]!, count)]));
      return b.reshapeLike(standardized(b, scaled, xHat, r, [2]), x[0]!);
    },
    () =>
      perGroup
        ? b.sum(b.op("Mul", [rows(g), parts().xHat]), [0, 2], false)
        : b.sum(b.op("Mul", [g, b.reshapeLike(parts().xHat, x[0]!)]), axesButChannel(count), false),
    () => (perGroup ? b.sum(rows(g), [0, 2], false) : b.sum(g, axesButChannel(count), false)),
  ];
});

// x / ‖x‖ along an axis; the zero vector stays one.
define(
  "LpNormalization",
  expanded(({ b, x, node }) => {
    const norm = b.op(int(node, "p", 2) === 1 ? "ReduceL1" : "ReduceL2", [
      x[0]!,
      b.ints([int(node, "axis", -1)]),
    ]);
    const zero = b.op("Equal", [norm, b.scalar(0, norm)]);
    return b.op("Div", [x[0]!, b.op("Where", [zero, b.scalar(1, norm), norm])]);
  }),
);

// (x − mean) / (σ + 10⁻⁹), as the specification spells it.
define(
  "MeanVarianceNormalization",
  expanded(({ b, x, node }) => {
    const axes = b.ints(ints(node, "axes") ?? [0, 2, 3]);
    const centred = b.op("Sub", [x[0]!, b.op("ReduceMean", [x[0]!, axes])]);
    const deviation = b.op("Sqrt", [b.op("ReduceMean", [b.op("Mul", [centred, centred]), axes])]);
    return b.op("Div", [centred, b.op("Add", [deviation, b.scalar(1e-9, x[0]!)])]);
  }),
);

// x / (bias + α/size Σ x²)^β with the sum over neighbouring channels.
define(
  "LRN",
  expanded(({ b, x, node }) => {
    const size = int(node, "size", 1);
    const rows = b.reshape(b.op("Mul", [x[0]!, x[0]!]), [0, 1, b.sizes(x[0]!, [1]), -1]);
    const ones = b.filled(1, [1, 1, size, 1], rows);
    const sums = b.op("Conv", [rows, ones], {
      pads: [Math.floor((size - 1) / 2), 0, Math.ceil((size - 1) / 2), 0],
    });
    const [alpha, beta, bias] = [
      float(node, "alpha", 1e-4),
      float(node, "beta", 0.75),
      float(node, "bias", 1),
    ];
    const base = b.op("Add", [b.op("Mul", [sums, b.scalar(alpha / size, sums)]), b.scalar(bias, sums)]);
    const root = b.op("Pow", [base, b.scalar(beta, base)]);
    return b.op("Div", [x[0]!, b.reshapeLike(root, x[0]!)]);
  }),
);
