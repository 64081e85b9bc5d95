import assert from "node:assert/strict";
import { decodeModel } from "../../lib/onnx/index.js";
import { findPenultimate } from "../../lib/onnx/penultimate.js";
import { makeModel, type NodeSpec } from "../support/onnx.js";

const weights = (rows: number, columns: number) => ({
  data: new Float32Array(rows * columns).fill(1),
  shape: [rows, columns],
});

/** A graph from x [batch, 5] with the constants w [5, 4], v [4, 3] and vt [3, 4]. */
function graph(nodes: NodeSpec[], outputs: Record<string, (string | number)[]> = { y: ["batch", 3] }) {
  return decodeModel(
    makeModel({
      inputs: { x: ["batch", 5] },
      outputs,
      nodes,
      weights: { w: weights(5, 4), v: weights(4, 3), vt: weights(3, 4), b: weights(1, 3) },
    }),
  );
}

const first: NodeSpec[] = [
  { op: "MatMul", inputs: ["x", "w"], outputs: ["a"] },
  { op: "Relu", inputs: ["a"], outputs: ["h"] },
];

describe("the penultimate features", () => {
  it("are what the last linear layer reads, whatever follows it", () => {
    const last: NodeSpec = { op: "MatMul", inputs: ["h", "v"], outputs: ["y"] };
    assert.deepEqual(findPenultimate(graph([...first, last])), { name: "h", row: [4] });
    const softmax = [
      { ...last, outputs: ["s"] },
      { op: "Add", inputs: ["s", "b"], outputs: ["t"] },
      { op: "Softmax", inputs: ["t"], outputs: ["y"] },
    ];
    assert.deepEqual(findPenultimate(graph([...first, ...softmax])), { name: "h", row: [4] });
  });

  it("are found with transposed weights, and weights behind a Transpose", () => {
    const gemm: NodeSpec = { op: "Gemm", inputs: ["h", "vt"], outputs: ["y"], attributes: { transB: 1 } };
    assert.deepEqual(findPenultimate(graph([...first, gemm])), { name: "h", row: [4] });
    const turned: NodeSpec[] = [
      { op: "Transpose", inputs: ["vt"], outputs: ["turned"] },
      { op: "MatMul", inputs: ["h", "turned"], outputs: ["y"] },
    ];
    assert.deepEqual(findPenultimate(graph([...first, ...turned])), { name: "h", row: [4] });
  });

  it("belong to the output asked for", () => {
    const two = graph(
      [
        ...first,
        { op: "MatMul", inputs: ["h", "v"], outputs: ["y"] },
        { op: "Tanh", inputs: ["a"], outputs: ["u"] },
      ],
      { y: ["batch", 3], u: ["batch", 4] },
    );
    assert.equal(findPenultimate(two, "y").name, "h");
    assert.equal(findPenultimate(two, "u").name, "x");
  });

  it("are not the product of two values, and an error where there is no linear layer", () => {
    const product: NodeSpec[] = [
      { op: "Transpose", inputs: ["h"], outputs: ["ht"] },
      { op: "MatMul", inputs: ["h", "ht"], outputs: ["y"] },
    ];
    assert.equal(findPenultimate(graph([...first, ...product])).name, "x");
    assert.throws(
      () => findPenultimate(graph([{ op: "Tanh", inputs: ["x"], outputs: ["y"] }]), "y", "f.onnx"),
      {
        code: "ERR_MODEL_UNSUPPORTED",
        message: /f\.onnx: expected a final linear layer/,
      },
    );
  });
});
