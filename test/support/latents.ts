/** Linear generators with several inputs or layers, a mapping network and an encoder that only reshapes. */
import { Builder, DataType, emptyGraph, encodeModel } from "../../lib/onnx/index.js";

/** Rows of a matrix. */
export type Matrix = readonly (readonly number[])[];

export const a: Matrix = [
  [1, 0.5, -0.25],
  [-0.5, 1, 0.75],
];
export const bMatrix: Matrix = [
  [0.5, -1, 0.25],
  [1, 0.25, 0.5],
  [-0.75, 0.5, 1],
];

function matrix(b: Builder, rows: Matrix): string {
  return b.constant(rows.flat(), [rows.length, rows[0]!.length], DataType.FLOAT);
}

/** (z [N, 2], y [N, 3, 1]) → image [N, 1, 1, 3] = z·A + y·B. */
export function twoInputs(batch: string | number = "batch"): Uint8Array {
  const b = new Builder(emptyGraph("generator"));
  const z = b.input("z", DataType.FLOAT, [batch, 2]);
  const y = b.op("Flatten", [b.input("y", DataType.FLOAT, [batch, 3, 1])], { axis: 1 });
  const sum = b.op("Add", [b.op("MatMul", [z, matrix(b, a)]), b.op("MatMul", [y, matrix(b, bMatrix)])]);
  b.output("image", b.reshape(sum, [-1, 1, 1, 3]));
  b.graph.outputs[0]!.dims = [batch, 1, 1, 3];
  return encodeModel(b.graph);
}

/** w [N, 3, 2] → image [N, 1, 1, 3] = Σ_layers w_layer·A·(1, 2, −1)_layer: 2·w·A where all layers have the same. */
export function layered(): Uint8Array {
  const b = new Builder(emptyGraph("generator"));
  const w = b.input("w", DataType.FLOAT, ["batch", 3, 2]);
  const weights = b.constant([1, 2, -1], [1, 3, 1], DataType.FLOAT);
  const sum = b.sum(b.op("Mul", [w, weights]), [1], false);
  b.output("image", b.reshape(b.op("MatMul", [sum, matrix(b, a)]), [-1, 1, 1, 3]));
  b.graph.outputs[0]!.dims = ["batch", 1, 1, 3];
  return encodeModel(b.graph);
}

export const scale = [0.5, 2];
export const shift = [1, -0.5];

/** z [N, 2] → w [N, 2] = z·scale + shift: w is normal, in independent dimensions. */
export function mappingModel(factor = 1): Uint8Array {
  const b = new Builder(emptyGraph("mapping"));
  const z = b.input("z", DataType.FLOAT, ["batch", 2]);
  const scaled = b.op("Mul", [
    z,
    b.constant(
      scale.map((s) => s * factor),
      [1, 2],
      DataType.FLOAT,
    ),
  ]);
  b.output("w", b.op("Add", [scaled, b.constant(shift, [1, 2], DataType.FLOAT)]));
  b.graph.outputs[0]!.dims = ["batch", 2];
  return encodeModel(b.graph);
}

/** image → its three numbers. */
export function flatEncoder(): Uint8Array {
  const b = new Builder(emptyGraph("encoder"));
  b.output("y", b.op("Flatten", [b.input("x", DataType.FLOAT, ["batch", 1, 1, 3])], { axis: 1 }));
  b.graph.outputs[0]!.dims = ["batch", 3];
  return encodeModel(b.graph);
}
