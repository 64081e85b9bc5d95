/** What rewrites of graphs share: nodes that are replaced by others which compute the same. */
import { Builder } from "../builder.js";
import { declareShapes } from "../declare-shapes.js";
import { consumers, identity, removeDead, sortGraph, type Graph, type Node } from "../graph.js";
import { inferSteps } from "../shapes.js";
import type { Steps } from "../steps.js";

export interface RewriteContext {
  /** Emits nodes; knows the shapes of the whole graph. */
  readonly b: Builder;
  /** The nodes that read a value. */
  readers(value: string): readonly Node[];
  /** Whether a value is an output of the graph. */
  isOutput(value: string): boolean;
}

/**
 * Emits what computes a node's only output faster and returns its name, or null where it does not apply. Each is a guess
 * about ONNX Runtime's kernels and says what was measured; a graph runs anywhere with or without it.
 */
export type Rewrite = (c: RewriteContext, node: Node) => string | null;

/** The graph with the first rewrite that applies to each node applied. Values keep their names. */
export function* rewritten(graph: Graph, rewrites: ReadonlyMap<string, Rewrite>): Steps<Graph> {
  const candidates = graph.nodes.filter(({ domain, opType }) => domain === "" && rewrites.has(opType));
  if (candidates.length === 0) return graph;
  const b = new Builder(graph, "fast/", yield* inferSteps(graph));
  yield;
  const readersOf = consumers(graph);
  const outputs = new Set(graph.outputs.map((output) => output.name));
  const context: RewriteContext = {
    b,
    readers: (value) => readersOf.get(value) ?? [],
    isOutput: (value) => outputs.has(value),
  };
  const replaced = new Set<Node>();
  for (const node of candidates) {
    yield;
    const name = node.outputs[0]!;
    const before = graph.nodes.length;
    const value = rewrites.get(node.opType)!(context, node);
    if (value === null) continue;
    replaced.add(node);
    const maker = b.maker(value);
    // A value that something else made already cannot be renamed.
    if (maker && graph.nodes.indexOf(maker, before) >= 0) maker.outputs[0] = name;
    else graph.nodes.push(identity(value, name));
  }
  if (replaced.size === 0) return graph;
  graph.nodes = graph.nodes.filter((node) => !replaced.has(node));
  yield;
  sortGraph(graph);
  yield;
  removeDead(graph);
  yield* declareShapes(b);
  return graph;
}
