import { ModelError } from "../base/errors.js";
import type { Graph, Node } from "./graph.js";

/** The value that a classifier's last linear layer reads: its features. */
export interface FeatureValue {
  /** Its name in the graph. */
  readonly name: string;
  /** Shape of one row. */
  readonly row: readonly number[];
}

/**
 * Finds the data input of the last Gemm or MatMul with constant weights on the way to `output`, nearest to it.
 *
 * @throws ModelError ERR_MODEL_UNSUPPORTED when there is none.
 */
export function findPenultimate(
  graph: Graph,
  output = graph.outputs[0]?.name ?? "",
  modelName = "the encoder",
): FeatureValue {
  const makers = new Map<string, Node>();
  for (const node of graph.nodes) for (const name of node.outputs) makers.set(name, node);
  let level = [output];
  const seen = new Set(level);
  while (level.length > 0) {
    const next: string[] = [];
    for (const name of level) {
      const node = makers.get(name);
      if (!node) continue;
      const width = inputWidth(graph, node, makers);
      if (width !== undefined) return { name: node.inputs[0]!, row: [width] };
      for (const input of node.inputs)
        if (input !== "" && !seen.has(input)) {
          seen.add(input);
          next.push(input);
        }
    }
    level = next;
  }
  throw new ModelError(
    "ERR_MODEL_UNSUPPORTED",
    `${modelName}: expected a final linear layer (Gemm or MatMul with constant weights), whose input gives the features; ` +
      `the graph has none before its output "${output}"; name another value with --features`,
  );
}

/** Columns of the data input of a linear layer with constant weights; undefined for any other node. */
function inputWidth(graph: Graph, node: Node, makers: ReadonlyMap<string, Node>): number | undefined {
  if (node.domain !== "" || (node.opType !== "Gemm" && node.opType !== "MatMul")) return undefined;
  const [data, weights] = node.inputs;
  if (!data || !weights || isConstant(graph, data, makers)) return undefined;
  const dims = constantDims(graph, weights, makers);
  if (dims?.length !== 2) return undefined;
  const transposed = node.opType === "Gemm" && node.attributes.get("transB")?.i === 1n;
  return dims[transposed ? 1 : 0];
}

function isConstant(graph: Graph, name: string, makers: ReadonlyMap<string, Node>): boolean {
  return constantDims(graph, name, makers) !== undefined;
}

/** The shape of an initializer, of a Constant node, or of a transposed one. */
function constantDims(graph: Graph, name: string, makers: ReadonlyMap<string, Node>): number[] | undefined {
  const initializer = graph.initializers.get(name);
  if (initializer) return initializer.dims.map(Number);
  const node = makers.get(name);
  if (node?.opType === "Constant") return node.attributes.get("value")?.t?.dims.map(Number);
  if (node?.opType === "Identity") return constantDims(graph, node.inputs[0]!, makers);
  if (node?.opType === "Transpose") {
    const dims = constantDims(graph, node.inputs[0]!, makers);
    return dims?.length === 2 ? dims.reverse() : undefined;
  }
  return undefined;
}
