/** ONNX graphs as data: read, write, build, join, differentiate. No native code, no I/O. */
import { invalid } from "../errors.js";
import { decodeModel, encodeModel } from "./codec.js";
import { differentiateGraph } from "./differentiate.js";

export { decodeModel, encodeModel, encodeModelGently } from "./codec.js";
export { externalFiles, externalRange, inlineExternal, type ExternalRange } from "./external.js";
export {
  copyGraph,
  describeNode,
  emptyGraph,
  nodeReads,
  removeDead,
  sortGraph,
  type Dim,
  type Graph,
  type Node,
  type ValueInfo,
} from "./graph.js";
export { Builder, type Attributes } from "./builder.js";
export { compose, type ComposeOptions } from "./compose.js";
export { differentiateGraph, operatorsWithoutGradient, type DifferentiateOptions } from "./differentiate.js";
export { inferShapes, Shapes, type TensorType } from "./shapes.js";
export { inspectGraph, type GraphSummary } from "./inspect.js";
export { upgradeGraph } from "./upgrade.js";
export { DataType, isFloat, makeTensor, readNumbers, tensorDims, typeName } from "./tensors.js";

/**
 * ONNX bytes → ONNX bytes with `grad_<output>` inputs and `grad_<input>` outputs.
 *
 * @param options.wrt inputs to differentiate with respect to; default all float inputs
 * @param options.outputs outputs to differentiate; default all float outputs
 */
export function differentiate(
  onnx: Uint8Array,
  options: { wrt?: string[]; outputs?: string[] } = {},
): Uint8Array {
  for (const [name, value] of Object.entries({ wrt: options.wrt, outputs: options.outputs }))
    if (value !== undefined && !(Array.isArray(value) && value.every((entry) => typeof entry === "string")))
      throw invalid(name, "an array of names", value);
  return encodeModel(differentiateGraph(decodeModel(onnx), { wrt: options.wrt, outputs: options.outputs }));
}
