/** ONNX graphs as data: read, write, build, join, differentiate. No native code, no I/O. */
import { invalid } from "../base/errors.js";
import { decodeModel, encodeModel } from "./codec.js";
import { differentiateGraph } from "./differentiate.js";

export { decodeModel, decodeNode, decodeSteps, encodeModel, encodeSteps } from "./codec.js";
export {
  constantsAsInputs,
  embeddedExternal,
  externalFiles,
  externalRange,
  externalWeights,
  fillExternal,
  inlineExternal,
  placeExternal,
  refuseExternal,
  withExternal,
  type ExternalRange,
  type ExternalWeight,
} from "./external.js";
export {
  copyGraph,
  describeNode,
  emptyGraph,
  nodeReads,
  removeDead,
  sortGraph,
  subgraphs,
  type Dim,
  type Graph,
  type Node,
  type ValueInfo,
} from "./graph.js";
export { Builder, type Attributes } from "./builder.js";
export { constantNumbers, valueBounds, type Bounds } from "./bounds.js";
export { roundsCoarsely } from "./coarse.js";
export { cutGradient, cutSteps, type CutGradient } from "./cut.js";
export { compose, composeSteps, type ComposeOptions } from "./compose.js";
export {
  differentiateGraph,
  differentiateSteps,
  gradientObstacles,
  type GradientObstacle,
} from "./differentiate.js";
export { type DifferentiateOptions } from "./differentiate-options.js";
export { checkNesting, LimitError } from "./limits.js";
export { sizeSteps } from "./sizes.js";
export {
  gradientPaths,
  isVacuous,
  pathSteps,
  type GradientPath,
  type GradientStop,
} from "./gradient-paths.js";
export { graphCost, graphFlops, graphWeightBytes, rowBytesSteps, type GraphCost } from "./cost.js";
export { inferShapes, Shapes, type TensorType } from "./shapes.js";
export { inspectGraph, type GraphSummary } from "./inspect.js";
export { needsSpelling } from "./contrib/index.js";
export { upgradeGraph } from "./upgrade.js";
export {
  DataType,
  ElsewhereError,
  isFloat,
  makeTensor,
  readNumbers,
  tensorBytes,
  tensorDims,
  typeName,
} from "./tensors.js";
export { inlineFunctions } from "./inline.js";
export { floatEdge, floatEdges } from "./adapt/edges.js";
export {
  bfloatNode,
  doublesInFloat32,
  halfBytes,
  halfWeights,
  halvesInFloat32,
  hasDoubles,
  hasHalves,
} from "./adapt/float32.js";
export { fixInputs, type FixedValue } from "./adapt/fix-inputs.js";
export { keepOutputs } from "./adapt/keep-outputs.js";
export { batchFirstGraph, movedAxes, type BatchAxes } from "./batch-first.js";
export { floatEdgesGraph, wholeRanges } from "./float-edges.js";
export { soundDeclarations, wrongDeclaration } from "./adapt/declarations.js";
export { openBatchGraph } from "./adapt/open-batch.js";
export { sizesOfWeights, weightSizedGraph } from "./adapt/weight-sizes.js";
export { sizedGraph, type InputShapes } from "./adapt/sizes.js";
export { fixBatch } from "./batch.js";
export { inputScaling, type InputScaling } from "./input-scaling.js";
export { randomNodes } from "./random.js";
export { graphToRun, runsAsItIs, toRunSteps } from "./prepare.js";
export { noteReader, packSteps, unpackSteps, Weights, type Parcel } from "./parcel.js";
export { finish, type Steps } from "./steps.js";
export { reportedPlacementSteps, tabledPlacement, type GraphPlacement } from "./targets/placement.js";
export { targetOf, targets, type Target } from "./targets/target.js";
export { productWeights, sharedProductBytes } from "./product-weights.js";

export interface DifferentiateBytesOptions {
  /** Inputs to differentiate with respect to. Default: all float inputs. */
  wrt?: string[];
  /** Outputs to differentiate. Default: all float outputs. */
  outputs?: string[];
  /** In place of "grad_", as the gradient of a gradient needs. */
  prefix?: string;
  /** Accept a model that draws random numbers of its own on the way to a differentiated output. Default false. */
  allowRandom?: boolean;
  /** Take the gradient of rounding and of quantised numbers for that of the identity. Default false. */
  straightThrough?: boolean;
}

/**
 * ONNX bytes → ONNX bytes with `grad_<output>` inputs and `grad_<input>` outputs.
 *
 * @param options.wrt inputs to differentiate with respect to; default all float inputs
 * @param options.outputs outputs to differentiate; default all float outputs
 * @param options.prefix in place of "grad_", as the gradient of a gradient needs
 * @param options.straightThrough take the gradient of rounding and of quantised numbers for that of the identity
 * @param options.allowRandom accept a model that draws random numbers of its own on the way to a differentiated output
 */
export function differentiate(onnx: Uint8Array, options: DifferentiateBytesOptions = {}): Uint8Array {
  return encodeModel(differentiateGraph(decodeModel(onnx), checkedDifferentiation(options)));
}

/** @throws ArgumentError */
export function checkedDifferentiation(options: DifferentiateBytesOptions): DifferentiateBytesOptions {
  const { wrt, outputs, prefix, allowRandom, straightThrough } = options;
  for (const [name, value] of Object.entries({ wrt, outputs }))
    if (value !== undefined && !(Array.isArray(value) && value.every((entry) => typeof entry === "string")))
      throw invalid(name, "an array of names", value);
  if (prefix !== undefined && (typeof prefix !== "string" || prefix === ""))
    throw invalid("prefix", "a text", prefix);
  return { wrt, outputs, prefix, allowRandom, straightThrough };
}
