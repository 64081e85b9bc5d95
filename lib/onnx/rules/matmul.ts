/** Matrix products. */
import { float, int } from "../attributes.js";
import type { Builder } from "../builder.js";
import { define } from "./rule.js";

/** The last two axes swapped. */
function transposed(b: Builder, value: string, rank: number): string {
  const perm = Array.from({ length: rank }, (_, axis) => axis);
  [perm[rank - 2], perm[rank - 1]] = [rank - 1, rank - 2];
  return b.op("Transpose", [value], { perm });
}

// A [.., n, k] · B [.., k, m]: dA = g Bᵀ, dB = Aᵀ g, summed over broadcast batch axes. A vector is a matrix of one
// row or column.
define("MatMul", ({ b, g, x, y, rank }) => {
  const prepare = () => {
    const ranks = [rank(x[0]!), rank(x[1]!)] as const;
    const inserted = [...(ranks[0] === 1 ? [-2] : []), ...(ranks[1] === 1 ? [-1] : [])];
    const both = inserted.length === 2;
    return {
      A: ranks[0] === 1 ? b.unsqueeze(x[0]!, [0]) : x[0]!,
      B: ranks[1] === 1 ? b.unsqueeze(x[1]!, [1]) : x[1]!,
      G: both ? b.unsqueeze(g, [0, 1]) : b.unsqueeze(g, inserted),
      rankA: Math.max(ranks[0], 2),
      rankB: Math.max(ranks[1], 2),
    };
  };
  return [
    () => {
      const { A, B, G, rankA, rankB } = prepare();
      // The runtime reads a constant matrix transposed at no cost; turned by itself it would be there twice.
      if (rankB === 2 && rankA > 2 && b.isConstant(B)) {
        const rows = b.reshape(G, [-1, b.sizes(G, [-1])]);
        return b.reshapeLike(b.op("Gemm", [rows, B], { transB: 1 }), x[0]!);
      }
      const wide = b.op("MatMul", [G, transposed(b, B, rankB)]);
      return b.reshapeLike(b.sumTo(wide, wide, A), x[0]!);
    },
    () => {
      const { A, B, G, rankA, rankB } = prepare();
      if (rankB === 2 && rankA > 2 && rank(y) === rankA) {
        // One matrix product over all batches instead of a sum over many.
        const [rows, columns] = [b.sizes(A, [-1]), b.sizes(G, [-1])];
        const flatA = b.op("Reshape", [A, b.op("Concat", [b.ints([-1]), rows], { axis: 0 })]);
        const flatG = b.op("Reshape", [G, b.op("Concat", [b.ints([-1]), columns], { axis: 0 })]);
        return b.reshapeLike(b.op("Gemm", [flatA, flatG], { transA: 1 }), x[1]!);
      }
      const wide = b.op("MatMul", [transposed(b, A, rankA), G]);
      return b.reshapeLike(b.sumTo(wide, wide, B), x[1]!);
    },
  ];
});

// Y = α A' B' + β C, where a dash is an optional transpose.
define("Gemm", ({ b, g, x, y, node }) => {
  const [transA, transB] = [int(node, "transA", 0), int(node, "transB", 0)];
  const alpha = float(node, "alpha", 1);
  const beta = float(node, "beta", 1);
  const product = (p: string, q: string, tp: number, tq: number): string =>
    b.op("Gemm", [p, q], { transA: tp, transB: tq, ...(alpha === 1 ? {} : { alpha }) });
  return [
    () => (transA ? product(x[1]!, g, transB, 1) : product(g, x[1]!, 0, transB ? 0 : 1)),
    () => (transB ? product(g, x[0]!, 1, transA) : product(x[0]!, g, transA ? 0 : 1, 0)),
    () => {
      const scaled = beta === 1 ? g : b.op("Mul", [g, b.scalar(beta, g)]);
      return b.sumTo(scaled, y, x[2]!);
    },
  ];
});
