/** Operators that a target does not run, or not well, spelled out in others that it runs. */
import { ModelError } from "../../base/errors.js";
import { Builder } from "../builder.js";
import { declareShapes } from "../declare-shapes.js";
import { describeNode, identity, onNode, removeDead, sortGraph, type Graph, type Node } from "../graph.js";
import type { NodeContext, Spelling } from "../rules/rule.js";
import { inferSteps, Shapes } from "../shapes.js";
import { normalAxis } from "../shapes/operators.js";
import type { Steps } from "../steps.js";
import type { Target } from "./target.js";

/** The spelling wanted for a node; null to leave it as it is. */
type Choice = (node: Node, shapes: Shapes) => Spelling | null;

/** Why a node that has a spelling was left as it is. */
const reasons = new WeakMap<Node, string>();

/** What keeps a node from being spelled out; undefined where nothing was tried. */
export function whyLeft(node: Node): string | undefined {
  return reasons.get(node);
}

/** A spelling may use operators that are spelled out themselves, so deep. */
const rounds = 4;

/** The graph with nodes spelled out. Changes `graph`; values keep their names. What has no spelling stays. */
export function* spelledSteps(graph: Graph, target: Target, choose: Choice): Steps<Graph> {
  const left = new Set<Node>();
  for (let round = 0; round < rounds; round++) {
    const shapes = yield* inferSteps(graph);
    const chosen = graph.nodes.flatMap((node) => {
      const spelling = left.has(node) ? null : choose(node, shapes);
      return spelling ? [{ node, spelling }] : [];
    });
    if (chosen.length === 0) return graph;
    const b = new Builder(graph, "form/", shapes);
    yield;
    const replaced = new Set<Node>();
    for (const { node, spelling } of chosen) {
      yield;
      const values = spelled(b, target, node, spelling);
      if (values === null) {
        left.add(node);
        continue;
      }
      replaced.add(node);
      node.outputs.forEach((name, i) => {
        if (name !== "") graph.nodes.push(identity(values[i]!, name));
      });
    }
    graph.nodes = graph.nodes.filter((node) => !replaced.has(node));
    mergeIdentities(graph);
    yield;
    sortGraph(graph);
    yield;
    removeDead(graph);
    yield* declareShapes(b);
  }
  return graph;
}

/**
 * As {@link spelledSteps} for a sorted graph, one node after the other: a spelling may need the shapes of what those before it
 * make, where the operators themselves do not tell them.
 */
export function* spelledInOrder(graph: Graph, choose: (node: Node) => Spelling | null): Steps<Graph> {
  const b = new Builder(graph, "form/", new Shapes(graph));
  const { nodes } = graph;
  graph.nodes = [];
  for (const node of nodes) {
    yield;
    const spelling = choose(node);
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

/** The values of a node's outputs in other operators; null where they cannot be had without the node itself. */
function spelled(b: Builder, target: Target, node: Node, spelling: Spelling): readonly string[] | null {
  const before = b.graph.nodes.length;
  const fail = (why: string): ModelError => {
    reasons.set(node, why);
    return new ModelError("ERR_MODEL_UNSUPPORTED", `${describeNode(node)} has no other form: ${why}`);
  };
  const context: NodeContext = {
    b,
    node,
    target,
    x: node.inputs,
    y: node.outputs[0]!,
    output: () => {
      throw fail("its other outputs are its own");
    },
    rank: (value) => {
      const rank = b.rank(value);
      if (rank === null) throw fail(`the rank of "${value}" is not known`);
      return rank;
    },
    axis: (axis, rank) => {
      const at = normalAxis(axis, rank);
      if (at === null) throw fail(`there is no axis ${axis} of ${rank}`);
      return at;
    },
    fail,
  };
  let results: string | readonly (string | null)[];
  try {
    results = onNode(node, () => spelling(context));
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    if (!reasons.has(node)) reasons.set(node, error.message);
    return null;
  }
  const values = typeof results === "string" ? [results] : results;
  const own = new Set(node.outputs);
  // Its own shape is known only at run time where a form had to ask the node for it.
  if (b.graph.nodes.slice(before).some(({ inputs }) => inputs.some((name) => name !== "" && own.has(name))))
    return null;
  if (node.outputs.some((name, i) => name !== "" && (values[i] ?? null) === null)) return null;
  return values as readonly string[];
}

/** A value that is made for one name takes that name. */
function mergeIdentities(graph: Graph): void {
  const makers = new Map<string, Node>();
  for (const node of graph.nodes) for (const output of node.outputs) makers.set(output, node);
  const uses = new Map<string, number>();
  for (const node of graph.nodes)
    for (const input of node.inputs) uses.set(input, (uses.get(input) ?? 0) + 1);
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  graph.nodes = graph.nodes.filter((node) => {
    const [from, to] = [node.inputs[0]!, node.outputs[0]!];
    if (node.opType !== "Identity" || node.domain !== "" || !from.startsWith("form/")) return true;
    const maker = makers.get(from);
    if (!maker || uses.get(from) !== 1 || outputs.has(from)) return true;
    maker.outputs[maker.outputs.indexOf(from)] = to;
    return false;
  });
}
