/**
 * Quantised numbers in a gradient. The derivative of rounding is 0 wherever there is one; the straight-through estimator takes
 * it for 1 between the smallest and the largest number that the quantised type has, and for 0 outside. It is asked for by the
 * option `straightThrough`. Adjoints of integers are float32.
 */
import { operatorName, type Node } from "./graph.js";
import type { Shapes } from "./shapes.js";
import { DataType, isFloat, isInteger } from "./tensors.js";

const microsoft = (names: string): string[] => names.split(" ").map((name) => `com.microsoft.${name}`);

/** Operators that round real numbers to quantised ones, or compute with quantised numbers. */
const quantising = new Set([
  ..."QuantizeLinear DynamicQuantizeLinear MatMulInteger ConvInteger QLinearMatMul QLinearConv".split(" "),
  ...microsoft(
    "QuantizeLinear DynamicQuantizeMatMul MatMulIntegerToFloat QGemm QLinearAdd QLinearMul QLinearSigmoid " +
      "QLinearLeakyRelu QLinearSoftmax QLinearConcat QLinearAveragePool QLinearGlobalAveragePool QLinearWhere",
  ),
]);

/** All operators of quantised numbers, those that make real ones of them among them. */
export const quantisedOperators: ReadonlySet<string> = new Set([
  ...quantising,
  "DequantizeLinear",
  ...microsoft("DequantizeLinear"),
]);

/** Operators that do to integers what they do to real numbers, linearly or piece by piece. */
const carrying = new Set(
  (
    "Identity Reshape Flatten Squeeze Unsqueeze Transpose Concat Split Slice Gather GatherElements GatherND Expand Pad Tile " +
    "MaxPool DepthToSpace SpaceToDepth Clip Relu Neg Add Sub Max Min Where Cast"
  ).split(" "),
);

/** Whether a node quantises: without the option its gradient is refused by name, and is not 0. */
export function quantises(node: Node): boolean {
  return quantising.has(operatorName(node));
}

/** Whether the option makes the identity of a node whose gradient is 0 otherwise. */
export function roundsThrough(node: Node): boolean {
  return node.domain === "" && node.opType === "Round";
}

/** Types of quantised numbers. */
function isQuantised(elemType: number): boolean {
  return isInteger(elemType) || (elemType >= DataType.FLOAT8E4M3FN && elemType <= DataType.FLOAT8E5M2FNUZ);
}

/** Whether output `index` of a node can have an adjoint where one of its inputs has. */
export function carries(node: Node, index: number, shapes: Shapes, straightThrough: boolean): boolean {
  const elemType = shapes.elemType(node.outputs[index]!);
  if (quantises(node)) return index === 0;
  if (elemType === 0 || isFloat(elemType)) return true;
  if (!isQuantised(elemType)) return false;
  if (node.domain !== "" || !carrying.has(node.opType)) return false;
  if (node.opType === "MaxPool" && index > 0) return false;
  return node.opType !== "Cast" || straightThrough || isQuantised(shapes.elemType(node.inputs[0]!));
}

/** How to go on at a node that {@link quantises}. */
export const quantisedAdvice =
  "Load the model with straightThrough: true (--straight-through) to take rounding for the identity in the gradient";
