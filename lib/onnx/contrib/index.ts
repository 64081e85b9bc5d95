/** Operators of ONNX Runtime's own domain become standard ones, in place. A file per family. */
import "./activations.js";
import "./attention.js";
import "./normalizations.js";
import "./others.js";
import "./products.js";
import { Builder } from "../builder.js";
import { identity, removeDead, sortGraph, type Graph, type Node } from "../graph.js";
import { Shapes } from "../shapes.js";
import type { Steps } from "../steps.js";
import { mergeIdentities, spelled } from "../targets/spell.js";
import { contribSpelling } from "./table.js";

export { contribOperators, contribSpelling, microsoft } from "./table.js";

/** Operators that have a spelling and no kernel for float32 on CPUs: models with them run in other operators. */
const withoutKernel = new Set(
  "BiasAdd BiasDropout BiasSoftmax BiasSplitGelu GemmFastGelu GroupNorm NhwcConv SkipGroupNorm".split(" "),
);

/** Whether the runtime has to be given something else in place of a node. */
export function needsSpelling(node: Node): boolean {
  if (contribSpelling(node) === undefined) return false;
  // Its kernel takes queries, keys and values, and not what is packed of them.
  if (node.opType === "MultiHeadAttention") return !node.inputs[1] || !node.inputs[2];
  return withoutKernel.has(node.opType);
}

/** The graph in standard operators, as far as there are spellings. Changes `graph`; values keep their names. */
export function* standardSteps(graph: Graph): Steps<Graph> {
  if (!graph.nodes.some(contribSpelling)) return graph;
  sortGraph(graph);
  yield;
  const b = new Builder(graph, "form/", new Shapes(graph));
  const { nodes } = graph;
  // One after the other, for a spelling needs the shapes of what the ones before it make.
  graph.nodes = [];
  for (const node of nodes) {
    yield;
    const spelling = contribSpelling(node);
    const values = spelling ? spelled(b, "cpu", node, spelling) : null;
    if (values === null) b.append(node);
    else
      node.outputs.forEach((name, i) => {
        if (name !== "") b.append(identity(values[i]!, name));
      });
  }
  mergeIdentities(graph);
  yield;
  removeDead(graph);
  return graph;
}
