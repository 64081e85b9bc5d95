/** Graphs in the form that later passes and the runtime like best. */
import { ModelError } from "../base/errors.js";
import { sortGraph, type Graph } from "./graph.js";
import { inlineFunctions, inlineIfs } from "./inline.js";
import { bothSteps, forwardSteps } from "./rewrite/index.js";
import { finish, type Steps } from "./steps.js";
import { constantsToInitializers, upgradeSteps } from "./upgrade.js";

/** A copy in the one spelling that the rules know. */
export function* preparedSteps(graph: Graph): Steps<Graph> {
  const result = yield* upgradeSteps(inlineFunctions(graph));
  yield;
  sortGraph(result);
  yield;
  inlineIfs(result);
  constantsToInitializers(result);
  return yield* forwardSteps(result);
}

/**
 * The same function with its transposed convolutions, and normalisations behind them, in the forms that gradients run in.
 * Everything else the runtime makes as fast by itself, so a graph without them comes back as it was, as does one that
 * cannot be read.
 */
export function graphToRun(graph: Graph): Graph {
  return finish(toRunSteps(graph));
}

/** Whether {@link graphToRun} has nothing to do. */
export function runsAsItIs(graph: Graph): boolean {
  return !graph.nodes.some(({ domain, opType }) => domain === "" && opType === "ConvTranspose");
}

export function* toRunSteps(graph: Graph): Steps<Graph> {
  if (runsAsItIs(graph)) return graph;
  try {
    return yield* bothSteps(yield* preparedSteps(graph));
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return graph;
  }
}
