/** Sizes of inputs that a file leaves open and the weights tell: a convolution takes as many channels as its kernel has. */
import { int as integer } from "../attributes.js";
import { consumers, copyGraph, type Graph, type Node } from "../graph.js";
import type { Steps } from "../steps.js";
import { tensorDims, tensorSize } from "../tensors.js";
import { inferredOutputs } from "./declarations.js";

/** Axis and size of a node's first input; null where its weights do not tell one. */
function toldBy(graph: Graph, node: Node, rank: number): readonly [number, number] | null {
  const weights = graph.initializers.get(node.inputs[1] ?? "");
  const dims = weights && tensorDims(weights);
  if (!dims || node.domain !== "") return null;
  switch (node.opType) {
    case "Conv":
      return dims.length > 2 ? [1, dims[1]! * integer(node, "group", 1)] : null;
    case "ConvTranspose":
      return dims.length > 2 ? [1, dims[0]!] : null;
    case "BatchNormalization":
    case "InstanceNormalization":
      return [1, dims[0]!];
    case "Gemm":
      return integer(node, "transA", 0) === 0 ? [1, dims[integer(node, "transB", 0) === 0 ? 0 : 1]!] : null;
    case "MatMul":
      return dims.length > 1 ? [rank - 1, dims.at(-2)!] : null;
    default:
      return null;
  }
}

const keepShape = new Set([
  "Identity",
  "Cast",
  "Relu",
  "LeakyRelu",
  "Tanh",
  "Sigmoid",
  "Clip",
  "Neg",
  "Round",
]);
const withScalar = new Set(["Add", "Sub", "Mul", "Div", "Pow"]);

/** Whether a node's output has the shape of the value that it reads first. */
function passes(graph: Graph, node: Node): boolean {
  if (node.domain !== "") return false;
  if (keepShape.has(node.opType)) return true;
  const other = withScalar.has(node.opType) && graph.initializers.get(node.inputs[1] ?? "");
  return other ? tensorSize(other) === 1 && tensorDims(other).length <= 1 : false;
}

/** Open axes of inputs, the batch's aside, that weights give a size: [input, axis, size]. */
export function* sizesOfWeights(graph: Graph): Steps<[string, number, number][]> {
  const open = graph.inputs.filter(({ dims }) => dims?.slice(1).some((dim) => typeof dim !== "number"));
  if (open.length === 0) return [];
  const readers = consumers(graph);
  const found: [string, number, number][] = [];
  for (const { name, dims } of open) {
    const known = new Set<number>();
    const values = [name];
    for (const value of values)
      for (const node of readers.get(value) ?? []) {
        yield;
        if (node.inputs[0] !== value) continue;
        const told = toldBy(graph, node, dims!.length);
        if (told !== null && told[0] > 0 && told[1] > 0 && !known.has(told[0])) {
          known.add(told[0]);
          if (told[0] < dims!.length && typeof dims![told[0]] !== "number") found.push([name, ...told]);
        }
        if (passes(graph, node)) values.push(...node.outputs);
      }
  }
  return found;
}

/** The graph with these sizes. */
export function* weightSizedGraph(graph: Graph): Steps<Graph> {
  const result = copyGraph(graph);
  for (const [name, axis, size] of yield* sizesOfWeights(graph))
    result.inputs.find((input) => input.name === name)!.dims![axis] = size;
  return yield* inferredOutputs(result);
}
