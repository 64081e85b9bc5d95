/** What is done to graphs for a target beyond what every graph gets. */
import type { Graph } from "../graph.js";
import type { Steps } from "../steps.js";
import { formOf } from "./forms.js";
import { loweredSteps } from "./lower.js";
import { spelledSteps } from "./spell.js";
import type { Target } from "./target.js";

/** A model in operators of which the target has kernels, where there is such a form, at the operator set of these kernels. */
export function* targetedSteps(graph: Graph, target: Target): Steps<Graph> {
  if (target === "cpu") return graph;
  return yield* loweredSteps(yield* formedSteps(graph, target));
}

/** The same of a graph that is at its operator set: of what differentiation emitted. */
export function* formedSteps(graph: Graph, target: Target): Steps<Graph> {
  if (target === "cpu") return graph;
  return yield* spelledSteps(graph, target, (node, shapes) =>
    formOf(target, node, graph.opsets.get("")!, shapes),
  );
}
