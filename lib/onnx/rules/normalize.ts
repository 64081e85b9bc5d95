/** Normalisation layers. */
import { float, int } from "../attributes.js";
import type { Builder } from "../builder.js";
import { DataType, readNumbers } from "../tensors.js";
import { define, type RuleContext } from "./rule.js";

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
    return constant ? readNumbers(constant) : null;
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
  const along = b.op("Mul", [xHat, mean(b.op("Mul", [g, xHat]))]);
  return b.op("Mul", [r, b.op("Sub", [b.op("Sub", [g, mean(g)]), along])]);
}

/** x̂ and r = 1 / √(var + ε) over some axes. */
function standardize(
  b: Builder,
  x: string,
  axes: readonly number[],
  epsilon: number,
): { xHat: string; r: string } {
  const mean = (value: string): string => b.op("ReduceMean", [value, b.ints(axes)], { keepdims: 1 });
  const centred = b.op("Sub", [x, mean(x)]);
  const variance = mean(b.op("Mul", [centred, centred]));
  const r = b.op("Reciprocal", [b.op("Sqrt", [b.op("Add", [variance, b.scalar(epsilon, x)])])]);
  return { xHat: b.op("Mul", [centred, r]), r };
}

// Per image and channel over the spatial axes: y = x̂ · scale + bias.
define("InstanceNormalization", ({ b, g, x, node, rank }) => {
  const count = rank(x[0]!);
  const axes = Array.from({ length: count - 2 }, (_, i) => i + 2);
  const parts = () => standardize(b, x[0]!, axes, float(node, "epsilon", 1e-5));
  return [
    () => {
      const { xHat, r } = parts();
      return standardized(b, b.op("Mul", [g, perChannel(b, x[1]!, count)]), xHat, r, axes);
    },
    () => b.sum(b.op("Mul", [g, parts().xHat]), axesButChannel(count), false),
    () => b.sum(g, axesButChannel(count), false),
  ];
});

// Over all axes from `axis` on: y = x̂ · scale + bias. The node can hand out its mean and r.
define("LayerNormalization", (c) => {
  const { b, g, x, y, node, output, rank } = c;
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
      return standardized(b, b.op("Mul", [g, x[1]!]), xHat, r, axes);
    },
    () => b.sumTo(b.op("Mul", [g, parts().xHat]), y, x[1]!),
    () => b.sumTo(g, y, x[2]!),
  ];
});
