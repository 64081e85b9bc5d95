/** A differentiated graph in two parts, to be run with something else between the forward and the backward pass. */
import { copyGraph, nodeReads, removeDead, type Graph, type Node, type ValueInfo } from "./graph.js";
import { inferSteps } from "./shapes.js";
import { finish, type Steps } from "./steps.js";

export interface CutGradient {
  /** The inputs → the outputs that are no gradients, and those saved values that are neither inputs nor outputs. */
  readonly forward: Graph;
  /** Saved values and cotangents → the gradients. */
  readonly backward: Graph;
  /** What backward reads of the forward pass: inputs, outputs, and values in between. */
  readonly saved: readonly string[];
}

/**
 * Cuts a graph where its cotangents come in: every node that depends on none of them is part of the forward pass, so that
 * nothing is computed twice.
 *
 * @param cotangents names of inputs of the graph
 * @param gradients names of the outputs that are made of them
 */
export function cutGradient(
  graph: Graph,
  cotangents: readonly string[],
  gradients: readonly string[],
): CutGradient {
  return finish(cutSteps(graph, cotangents, gradients));
}

export function* cutSteps(
  graph: Graph,
  cotangents: readonly string[],
  gradients: readonly string[],
): Steps<CutGradient> {
  const dependent = new Set(cotangents);
  for (const node of graph.nodes)
    if (nodeReads(node).some((name) => dependent.has(name)))
      for (const output of node.outputs) if (output !== "") dependent.add(output);
  const isBackward = (node: Node): boolean => node.outputs.some((output) => dependent.has(output));
  const variable = new Set(graph.inputs.map(({ name }) => name));
  for (const node of graph.nodes)
    if (nodeReads(node).some((name) => variable.has(name)))
      for (const output of node.outputs) variable.add(output);
  const crossing = new Set(
    graph.nodes
      .filter(isBackward)
      .flatMap(nodeReads)
      .filter((name) => variable.has(name) && !dependent.has(name)),
  );
  yield;
  const shapes = yield* inferSteps(graph);
  const info = (name: string): ValueInfo => shapes.valueInfo(name);
  const inputs = graph.inputs.filter(({ name }) => !cotangents.includes(name));
  // The backward part computes everything again where a value has a type that nobody knows, and so cannot be handed
  // over, or where a gradient is zero and so depends on no cotangent.
  const again =
    [...crossing].some((name) => info(name).elemType === 0) || gradients.some((name) => !dependent.has(name));
  const saved = again ? inputs.map(({ name }) => name) : [...crossing];

  const forward = copyGraph(graph);
  forward.inputs = inputs;
  forward.outputs = forward.outputs.filter(({ name }) => !gradients.includes(name));
  const given = new Set([...forward.inputs, ...forward.outputs].map(({ name }) => name));
  forward.outputs = [...forward.outputs, ...saved.filter((name) => !given.has(name)).map(info)];
  removeDead(forward);
  yield;

  const backward = copyGraph(graph);
  // What follows from constants alone is computed, and folded, on both sides.
  const isConstant = (node: Node): boolean => !node.outputs.some((output) => variable.has(output));
  if (!again) backward.nodes = backward.nodes.filter((node) => isBackward(node) || isConstant(node));
  backward.inputs = [...saved.map(info), ...graph.inputs.filter(({ name }) => cotangents.includes(name))];
  backward.outputs = backward.outputs.filter(({ name }) => gradients.includes(name));
  for (const name of saved) backward.valueInfos.delete(name);
  removeDead(backward);
  return { forward, backward, saved };
}
