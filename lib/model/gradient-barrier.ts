/** Whether a model has a gradient, as far as its operators tell. */
import { gradientPaths, isVacuous, pathSteps, type GradientPath, type Graph } from "../onnx/index.js";
import type { GradientBarrier } from "./output-facts.js";
import { inSlices } from "./slices.js";

/** Why an output has no gradient with respect to any of the inputs (default: all); null where it has one, or is a constant. */
export function graphBarrier(graph: Graph, output: string, wrt?: readonly string[]): GradientBarrier | null {
  return barrier(gradientPaths(graph, { wrt, outputs: [output] }));
}

/** The same of a graph that may have thousands of nodes. */
export async function modelBarrier(
  graph: Graph,
  output: string,
  straightThrough: boolean,
  signal?: AbortSignal,
): Promise<GradientBarrier | null> {
  const steps = pathSteps(graph, { outputs: [output], straightThrough });
  return barrier(await inSlices("looking for gradients", steps, signal));
}

function barrier(paths: readonly GradientPath[]): GradientBarrier | null {
  if (!isVacuous(paths)) return null;
  const { message, stoppedBy } = paths.find(({ kind }) => kind === "stopped")!;
  return { message, unknown: stoppedBy.some(({ unknown }) => unknown) };
}
