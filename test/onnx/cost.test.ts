/** What graphs cost, against counts made by hand. */
import assert from "node:assert/strict";
import { Builder, DataType, emptyGraph, fixBatch, graphCost, type Graph } from "../../lib/onnx/index.js";

function build(body: (b: Builder) => void): Graph {
  const b = new Builder(emptyGraph("case"));
  body(b);
  return b.graph;
}

const zeros = (b: Builder, dims: number[]): string =>
  b.constant(new Array<number>(dims.reduce((p, q) => p * q, 1)).fill(0), dims, DataType.FLOAT);

describe("onnx: cost of a graph", () => {
  it("two operations for each multiply-add, one for each other element", () => {
    const cases: [string, number, (b: Builder) => string][] = [
      // [2, 3, 8, 8] → [2, 4, 6, 6] with 3 × 3 kernels, and a bias.
      [
        "Conv",
        2 * (2 * 4 * 36) * 27 + 2 * 4 * 36,
        (b) => b.op("Conv", [b.input("x", 1, [2, 3, 8, 8]), zeros(b, [4, 3, 3, 3]), zeros(b, [4])]),
      ],
      [
        "depthwise Conv",
        2 * (4 * 36) * 9,
        (b) => b.op("Conv", [b.input("x", 1, [1, 4, 8, 8]), zeros(b, [4, 1, 3, 3])], { group: 4 }),
      ],
      [
        "ConvTranspose",
        2 * (3 * 64) * (4 * 9),
        (b) => b.op("ConvTranspose", [b.input("x", 1, [1, 3, 8, 8]), zeros(b, [3, 4, 3, 3])]),
      ],
      ["MatMul", 2 * 5 * 2 * 7 * 3, (b) => b.op("MatMul", [b.input("x", 1, [5, 2, 3]), zeros(b, [3, 7])])],
      [
        "Gemm",
        2 * 4 * 6 * 5 + 24,
        (b) => b.op("Gemm", [b.input("x", 1, [5, 4]), zeros(b, [5, 6]), zeros(b, [6])], { transA: 1 }),
      ],
      [
        "Einsum",
        2 * 2 * 3 * 4 * 5,
        (b) => b.op("Einsum", [b.input("x", 1, [2, 3, 4]), zeros(b, [4, 5])], { equation: "bij,jk->bik" }),
      ],
      [
        "Attention",
        // Scores of 4 rows and 7 columns from 5 numbers, and as many sums of 3, for 2 × 6 heads.
        2 * (2 * 6) * (4 * 7) * (5 + 3),
        (b) => {
          const part = (name: string, rows: number, size: number): string =>
            b.input(name, 1, [2, 6, rows, size]);
          return b.op("Attention", [part("q", 4, 5), part("k", 7, 5), part("v", 7, 3)]);
        },
      ],
      ["Relu", 12, (b) => b.op("Relu", [b.input("x", 1, [3, 4])])],
      ["Transpose", 0, (b) => b.op("Transpose", [b.input("x", 1, [3, 4])])],
    ];
    for (const [name, flops, emit] of cases) {
      const cost = graphCost(build((b) => b.output("y", emit(b))));
      assert.equal(cost.flops, flops, name);
      assert.equal(cost.uncounted, 0, name);
    }
  });

  it("memory is what is alive at the same time; views take none; weights are apart", () => {
    const graph = build((b) => {
      const x = b.input("x", DataType.FLOAT, ["batch", 100]);
      const wide = b.op("MatMul", [x, zeros(b, [100, 1000])]);
      const flat = b.op("Reshape", [b.op("Relu", [wide]), b.ints([-1, 10, 100])]);
      b.output("y", b.sum(flat, [1, 2], false));
    });
    const { graph: row, changed } = fixBatch(graph, 1);
    assert.ok(changed);
    const cost = graphCost(row);
    assert.equal(cost.peakBytes, 4 * (100 + 1000 + 1000));
    assert.ok(cost.weightBytes >= 4e5 && cost.weightBytes < 4e5 + 100);
    assert.equal(graphCost(fixBatch(graph, 3).graph).peakBytes, 3 * cost.peakBytes);
    assert.ok(graphCost(graph).uncounted > 0);
    assert.deepEqual(graph.inputs[0]!.dims, ["batch", 100]);
  });
});
