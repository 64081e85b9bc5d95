/** A summary of a graph for people. */
import { operatorsWithoutGradient } from "./differentiate.js";
import type { Graph, ValueInfo } from "./graph.js";
import { isFloat, tensorSize } from "./tensors.js";

export interface GraphSummary {
  opset: number;
  irVersion: number;
  inputs: ValueInfo[];
  outputs: ValueInfo[];
  /** Nodes by operator, most frequent first; operators of other domains as "domain.Name". */
  operators: { opType: string; count: number }[];
  /** Elements of all floating-point constants. */
  parameters: number;
  /** Operators that stop a gradient from the float inputs to the float outputs. */
  withoutGradient: { opType: string; domain: string; count: number }[];
}

export function inspectGraph(graph: Graph): GraphSummary {
  const counts = new Map<string, number>();
  for (const node of graph.nodes) {
    const opType = node.domain === "" ? node.opType : `${node.domain}.${node.opType}`;
    counts.set(opType, (counts.get(opType) ?? 0) + 1);
  }
  let parameters = 0;
  for (const tensor of graph.initializers.values())
    if (isFloat(tensor.dataType)) parameters += tensorSize(tensor);
  return {
    opset: graph.opsets.get("") ?? 0,
    irVersion: graph.irVersion,
    inputs: graph.inputs,
    outputs: graph.outputs,
    operators: [...counts]
      .map(([opType, count]) => ({ opType, count }))
      .sort((p, q) => q.count - p.count || (p.opType < q.opType ? -1 : 1)),
    parameters,
    withoutGradient: operatorsWithoutGradient(graph),
  };
}
