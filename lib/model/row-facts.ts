/** What decides in which blocks the rows of a pipeline run: what a row costs, and the name of a rule found earlier. */
import type { Decision } from "../base/decisions.js";
import { batchSize, type MaxBatch } from "./batch-size.js";
import { recallRules, ruleKey } from "./block-rules.js";
import type { NativeRowFacts, NativeSegment } from "../native/types/pipeline.js";
import type { NativeSession } from "../native/types/models.js";
import { fixBatch, graphFlops, graphWeightBytes, type Graph } from "../onnx/index.js";
import { inSlices } from "./slices.js";
import { sessionFingerprint } from "./weights.js";

/** Operations of a row whose cost nobody can tell: more than any block is worth. */
const unknownFlops = 1e15;

/**
 * @param run.graphs of all ONNX parts
 * @param run.sessions of all of them
 * @param run.torch what tells the TorchScript parts from others; undefined where somebody does not know
 * @param run.rest all else that the results depend on
 */
export async function rowFacts(run: {
  graphs: readonly Graph[];
  sessions: readonly NativeSession[];
  torch: readonly (string | undefined)[];
  rest: unknown;
  /** What messages call the pipeline. */
  name: string;
  fixedBatch: number;
  maxBatch: MaxBatch;
  decided?: ((decision: Decision) => void) | undefined;
  signal?: AbortSignal | undefined;
}): Promise<NativeRowFacts & { maxBatch: number }> {
  const { graphs, fixedBatch } = run;
  // There is nothing to decide.
  if (fixedBatch > 0) return { maxBatch: fixedBatch };
  const maxBatch = await batchSize(run.name, run.maxBatch, run.sessions, run);
  if (maxBatch === 1) return { maxBatch };
  let [rowFlops, callNodes, weightBytes] = [0, 0, 0];
  for (const graph of graphs) {
    rowFlops += (await countedFlops(graph, run.signal)) ?? unknownFlops;
    callNodes += graph.nodes.length;
    weightBytes += graphWeightBytes(graph);
  }
  const facts = { rowFlops, callNodes, weightBytes, maxBatch };
  const parts = [...run.sessions.map(sessionFingerprint), ...run.torch];
  if (parts.includes(undefined)) return facts;
  const key = ruleKey([parts, run.rest, maxBatch, { rowFlops, callNodes, weightBytes }]);
  await recallRules(key);
  return { ...facts, ruleKey: key };
}

/** Operations of one row; null where an operator's are not known. */
export async function countedFlops(graph: Graph, signal?: AbortSignal): Promise<number | null> {
  const counting = graphFlops(fixBatch(graph, 1).graph);
  const { flops, uncounted } = await inSlices("counting a row's cost", counting, signal);
  return uncounted ? null : flops;
}

/** The sessions of a pipeline's segments. */
export function segmentSessions(segments: readonly NativeSegment[]): NativeSession[] {
  return segments.flatMap((segment) =>
    "model" in segment
      ? []
      : [segment.forward, segment.recorded, segment.backward].filter((session) => session !== null),
  );
}
