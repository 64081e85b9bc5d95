/** Models whose work would not be done on the device that they are opened on. */
import { ModelError } from "../base/errors.js";
import type { NativeSession } from "../native/types/models.js";
import {
  reportedPlacementSteps,
  tabledPlacement,
  targetOf,
  type Graph,
  type GraphPlacement,
} from "../onnx/index.js";
import { inSlices } from "./slices.js";

/** Where the nodes of an open session run: as the runtime reports it, or else as the tables of kernels tell. */
async function sessionPlacement(
  session: NativeSession,
  graph: Graph,
  device: string,
  signal: AbortSignal | undefined,
): Promise<GraphPlacement> {
  const target = targetOf(device);
  const assigned = session.assigned();
  if (assigned === null) return tabledPlacement(graph, target);
  const onCpu = assigned.filter(({ provider }) => provider === "CPUExecutionProvider");
  return inSlices("opening a session", reportedPlacementSteps(graph, target, onCpu), signal);
}

/** Nodes that a message names. */
const most = 5;

/**
 * Refuses a session of which heavy nodes run on the CPU, unless that is allowed, or of which nodes are known to
 * fail on the device.
 *
 * @throws ModelError ERR_DEVICE_FALLBACK
 */
export async function checkFallback(
  session: NativeSession,
  graph: Graph,
  {
    name,
    device,
    allowFallback,
    signal,
  }: { name: string; device: string; allowFallback: boolean; signal?: AbortSignal | undefined },
): Promise<void> {
  if (device === "cpu") return;
  const { onCpu, failing, copies } = await sessionPlacement(session, graph, device, signal);
  const heavy = onCpu.filter((node) => node.heavy);
  if (failing.length === 0 && (allowFallback || heavy.length === 0)) return;
  const nodes = failing.length > 0 ? failing : heavy;
  const named = nodes
    .slice(0, most)
    .map(({ opType, name: node, why }) => `${opType} ${JSON.stringify(node)} (${why})`);
  const rest = nodes.length > most ? `, and ${nodes.length - most} more` : "";
  const what =
    failing.length > 0
      ? `cannot run on ${JSON.stringify(device)}`
      : `would run on the CPU, with ${copies} copies between the device and the CPU in each run`;
  const cure =
    failing.length > 0
      ? 'Load the model with { device: "cpu" }, or export it with other operators'
      : 'Accept that with { allowFallback: true }, load the model with { device: "cpu" }, or export it with other operators';
  throw new ModelError(
    "ERR_DEVICE_FALLBACK",
    `${name}: ${nodes.length === 1 ? "a node" : `${nodes.length} nodes`} of it ${what}: ${named.join(", ")}${rest}. ${cure}; ` +
      `tr0n inspect --device ${targetOf(device)} lists them`,
  );
}
