/** A summary of a graph for people. */
import type { TensorProto } from "onnx-buf";
import { ModelError } from "../base/errors.js";
import { fixBatch } from "./batch.js";
import { decodeNode } from "./codec.js";
import { graphCost, type GraphCost } from "./cost.js";
import { differentiateGraph, gradientObstacles } from "./differentiate.js";
import type { DifferentiateOptions } from "./differentiate-options.js";
import { gradientPaths, type GradientPath } from "./gradient-paths.js";
import { subgraphs, type Graph, type Node, type ValueInfo } from "./graph.js";
import { inlineFunctions } from "./inline.js";
import { randomNodes } from "./random.js";
import { isFloat, tensorSize } from "./tensors.js";

export interface GraphSummary {
  opset: number;
  irVersion: number;
  inputs: ValueInfo[];
  outputs: ValueInfo[];
  /**
   * Nodes by operator, most frequent first, those in bodies and in the model's functions among them (a function's once
   * for every call); operators of other domains as "domain.Name".
   */
  operators: { opType: string; count: number }[];
  /** Elements of all floating-point constants. */
  parameters: number;
  /** Operators that stop a gradient from the float inputs to the float outputs, with their nodes. */
  withoutGradient: {
    opType: string;
    domain: string;
    count: number;
    nodes: { name: string; message: string }[];
  }[];
  /** Of every input and output asked about (default: all): whether a path with a gradient leads from one to the other. */
  gradients: GradientPath[];
  /** Nodes that draw random numbers, by name (or first output). */
  random: string[];
  cost: {
    /** The batch that was symbolic and is counted as this many rows; null where the model has a fixed one. */
    batch: number | null;
    forward: GraphCost;
    /** Of the differentiated graph, outputs included; null where there is no gradient. */
    withGradient: GraphCost | null;
  };
}

/** For names that a model which is a gradient itself does not have. */
const prefix = "adjoint of ";

/**
 * @param graph what the file says: operators, parameters
 * @param analysed the same model, maybe simplified: what a gradient would meet, and what it costs
 * @param options what would be differentiated; default: all float outputs with respect to all float inputs
 */
export function inspectGraph(
  graph: Graph,
  analysed: Graph = graph,
  options: Pick<DifferentiateOptions, "wrt" | "outputs" | "straightThrough"> = {},
): GraphSummary {
  const counts = new Map<string, number>();
  let parameters = 0;
  const addParameters = (tensors: Iterable<TensorProto>): void => {
    for (const tensor of tensors) if (isFloat(tensor.dataType)) parameters += tensorSize(tensor);
  };
  const visit = (node: Node): void => {
    const opType = node.domain === "" ? node.opType : `${node.domain}.${node.opType}`;
    counts.set(opType, (counts.get(opType) ?? 0) + 1);
    for (const body of subgraphs(node)) {
      addParameters(body.initializer);
      for (const inner of body.node) visit(decodeNode(inner));
    }
  };
  inlineFunctions(graph).nodes.forEach(visit);
  addParameters(graph.initializers.values());
  return {
    opset: graph.opsets.get("") ?? 0,
    irVersion: graph.irVersion,
    inputs: graph.inputs,
    outputs: graph.outputs,
    operators: [...counts]
      .map(([opType, count]) => ({ opType, count }))
      .sort((p, q) => q.count - p.count || (p.opType < q.opType ? -1 : 1)),
    parameters,
    withoutGradient: obstacles(analysed, options),
    gradients: gradientPaths(analysed, options),
    random: randomNodes(graph).map(nameOf),
    cost: costs(analysed, options),
  };
}

function nameOf(node: Node): string {
  return node.name || (node.outputs[0] ?? "");
}

function obstacles(
  graph: Graph,
  options: Pick<DifferentiateOptions, "wrt" | "outputs" | "straightThrough">,
): GraphSummary["withoutGradient"] {
  const byType = new Map<string, GraphSummary["withoutGradient"][number]>();
  for (const { opType, domain, node, message } of gradientObstacles(graph, { ...options, prefix })) {
    const key = `${domain}:${opType}`;
    const entry = byType.get(key) ?? { opType, domain, count: 0, nodes: [] };
    byType.set(key, entry);
    entry.count++;
    entry.nodes.push({ name: node, message });
  }
  return [...byType.values()];
}

function costs(
  graph: Graph,
  options: Pick<DifferentiateOptions, "wrt" | "outputs" | "straightThrough">,
): GraphSummary["cost"] {
  const row = fixBatch(graph, 1);
  const forward = graphCost(row.graph);
  let withGradient: GraphCost | null = null;
  try {
    withGradient = graphCost(differentiateGraph(row.graph, { ...options, prefix, allowRandom: true }));
  } catch (error) {
    if (!(error instanceof ModelError && error.code === "ERR_NO_GRADIENT")) throw error;
  }
  return { batch: row.changed ? 1 : null, forward, withGradient };
}
