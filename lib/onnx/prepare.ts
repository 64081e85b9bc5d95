/** Graphs in the form that later passes and the runtime like best. */
import { ModelError } from "../errors.js";
import { sortGraph, type Graph } from "./graph.js";
import { inlineFunctions, inlineIfs } from "./inline.js";
import { rewriteBoth, rewriteForward } from "./rewrite/index.js";
import { constantsToInitializers, upgradeGraph } from "./upgrade.js";

/** A copy in the one spelling that the rules know. */
export function preparedGraph(graph: Graph): Graph {
  const result = upgradeGraph(inlineFunctions(graph));
  sortGraph(result);
  inlineIfs(result);
  constantsToInitializers(result);
  return rewriteForward(result);
}

/**
 * The same function with its transposed convolutions, and normalisations behind them, in the forms that gradients run in.
 * Everything else the runtime makes as fast by itself, so a graph without them comes back as it was, as does one that
 * cannot be read.
 */
export function graphToRun(graph: Graph): Graph {
  if (!graph.nodes.some(({ domain, opType }) => domain === "" && opType === "ConvTranspose")) return graph;
  try {
    return rewriteBoth(preparedGraph(graph));
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return graph;
  }
}
