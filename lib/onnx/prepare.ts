/** Graphs in the form that later passes and the runtime like best. */
import { ModelError } from "../base/errors.js";
import { needsSpelling } from "./contrib/index.js";
import { copyGraph, sortGraph, type Graph } from "./graph.js";
import { inlineFunctions, inlineIfs } from "./inline.js";
import { bothSteps, forwardSteps, sparedSteps } from "./rewrite/index.js";
import { hasResizeBehindTranspose } from "./rewrite/whole-resize.js";
import { finish, type Steps } from "./steps.js";
import { targetedSteps } from "./targets/prepare.js";
import type { Target } from "./targets/target.js";
import { unrollLoops } from "./unroll.js";
import { constantsToInitializers, upgradeSteps } from "./upgrade.js";

/** A copy in the one spelling that the rules know, in forms for the target. */
export function* preparedSteps(graph: Graph, target: Target): Steps<Graph> {
  const result = yield* upgradeSteps(inlineFunctions(graph));
  yield;
  sortGraph(result);
  yield;
  inlineIfs(result);
  constantsToInitializers(result);
  unrollLoops(result);
  // Conditions that the number of a step decides.
  inlineIfs(result);
  constantsToInitializers(result);
  return yield* forwardSteps(yield* targetedSteps(result, target), target);
}

/**
 * The same function with its transposed convolutions, and normalisations behind them, in the forms that gradients run in, and
 * without operators of the runtime's own that have no kernel. Everything else the CPU's runtime makes as fast by itself, so a graph without them comes back as it was, as does one that
 * cannot be read. For another target, in the forms that run there.
 */
export function graphToRun(graph: Graph, target: Target = "cpu"): Graph {
  return finish(toRunSteps(graph, target));
}

/** Whether {@link graphToRun} has nothing to do. */
export function runsAsItIs(graph: Graph, target: Target = "cpu"): boolean {
  return target === "cpu" && !needsForms(graph) && !hasResizeBehindTranspose(graph);
}

function needsForms(graph: Graph): boolean {
  return graph.nodes.some(
    (node) => (node.domain === "" && node.opType === "ConvTranspose") || needsSpelling(node),
  );
}

export function* toRunSteps(graph: Graph, target: Target = "cpu"): Steps<Graph> {
  if (runsAsItIs(graph, target)) return graph;
  try {
    if (target === "cpu" && !needsForms(graph)) return yield* sparedSteps(copyGraph(graph));
    return yield* bothSteps(yield* preparedSteps(graph, target), target);
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return graph;
  }
}
