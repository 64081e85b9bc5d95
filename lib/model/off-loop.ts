/** Passes over graphs that hold the event loop as little as their size allows: in slices, or in a thread of their own. */
import { runsAsItIs, type Graph, type Target } from "../onnx/index.js";
import { GraphWorker, workerFile, WorkerLost } from "./graph-worker.js";
import { passSteps, type PassName, type PassOptions } from "./passes.js";
import { inSlices } from "./slices.js";

/** Nodes from which on a pass takes longer than sending the graph to a thread, and starting one. */
export const largeNodes = 1000;

let worker: GraphWorker | undefined;

/** The process's worker; this thread's, where the process has several that use tr0n. */
export function graphWorker(): GraphWorker {
  return (worker ??= new GraphWorker({ file: workerFile() }));
}

/**
 * A pass over one graph or several.
 *
 * @throws AbortError, and what the pass throws
 */
export async function offLoop<P extends PassName>(
  what: string,
  pass: P,
  graphs: readonly Graph[],
  options: PassOptions<P>,
  signal?: AbortSignal,
): Promise<Graph> {
  if (graphs.reduce((sum, { nodes }) => sum + nodes.length, 0) >= largeNodes)
    try {
      return await graphWorker().run(what, pass, graphs, options, signal);
    } catch (error) {
      if (!(error instanceof WorkerLost)) throw error;
    }
  return inSlices(what, passSteps(pass, graphs, options), signal);
}

/**
 * A graph as sessions run it best on a target: most come back as they are for the CPU, and need not be sent anywhere for that.
 *
 * @throws AbortError
 */
export async function graphAsRun(
  graph: Graph,
  signal: AbortSignal | undefined,
  target: Target = "cpu",
): Promise<Graph> {
  if (runsAsItIs(graph, target)) return graph;
  return offLoop("preparing the models", "toRun", [graph], [target], signal);
}
