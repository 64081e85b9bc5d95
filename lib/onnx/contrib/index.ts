/** Operators of ONNX Runtime's own domain become standard ones, in place. A file per family. */
import "./activations.js";
import "./attention.js";
import "./linear-models.js";
import "./normalizations.js";
import "./others.js";
import "./products.js";
import "./recurrent.js";
import { sortGraph, type Graph, type Node } from "../graph.js";
import type { Steps } from "../steps.js";
import { spelledInOrder } from "../targets/spell.js";
import { contribSpelling, isStrangeForm } from "./table.js";

export { contribOperators, contribSpelling, microsoft } from "./table.js";

/** Operators that have a spelling and no kernel for float32 on CPUs: models with them run in other operators. */
const withoutKernel = new Set(
  "BiasAdd BiasDropout BiasSoftmax BiasSplitGelu ConstantFill GemmFastGelu GroupNorm NhwcConv SkipGroupNorm".split(
    " ",
  ),
);

/** Whether the runtime has to be given something else in place of a node. */
export function needsSpelling(node: Node): boolean {
  if (contribSpelling(node) === undefined) return false;
  if (isStrangeForm(node)) return true;
  // Its kernel takes queries, keys and values, and not what is packed of them.
  if (node.opType === "MultiHeadAttention") return !node.inputs[1] || !node.inputs[2];
  return withoutKernel.has(node.opType);
}

/** The graph in standard operators, as far as there are spellings. Changes `graph`; values keep their names. */
export function* standardSteps(graph: Graph): Steps<Graph> {
  if (!graph.nodes.some(contribSpelling)) return graph;
  sortGraph(graph);
  yield;
  return yield* spelledInOrder(graph, (node) => contribSpelling(node) ?? null);
}
