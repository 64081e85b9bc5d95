/** How finely a graph computes. */
import { int } from "./attributes.js";
import { decodeNode } from "./codec.js";
import type { Graph, Node } from "./graph.js";
import { subgraphs } from "./graph.js";
import { DataType } from "./tensors.js";

const halves = new Set<number>([DataType.FLOAT16, DataType.BFLOAT16]);

/**
 * Whether any part of a graph works in half precision or in quantised numbers: there an optimiser that leaves out one
 * rounding, or moves it, changes results by more than the last bits.
 */
export function roundsCoarsely(graph: Graph): boolean {
  const isCoarse = (node: Node): boolean =>
    /Quantize|QLinear|Integer$/.test(node.opType) ||
    (node.domain === "" && node.opType === "Cast" && halves.has(int(node, "to", 0))) ||
    subgraphs(node).some((body) => body.node.some((inner) => isCoarse(decodeNode(inner))));
  const readsHalf = ({ domain, opType, inputs }: Node): boolean =>
    !(domain === "" && opType === "Cast") &&
    inputs.some((name) => halves.has(graph.initializers.get(name)?.dataType ?? 0));
  return (
    [...graph.inputs, ...graph.outputs, ...graph.valueInfos.values()].some(({ elemType }) =>
      halves.has(elemType),
    ) ||
    graph.nodes.some(readsHalf) ||
    graph.nodes.some(isCoarse) ||
    graph.functions.some((f) => f.node.some((node) => isCoarse(decodeNode(node))))
  );
}
