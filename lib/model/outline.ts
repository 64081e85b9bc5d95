/**
 * A model without the numbers of its large constants: what says which nodes it has and how large its values are, read from a
 * file of any size in a few pieces. It is looked at before the runtime opens the file, for there are small files that the
 * runtime does not survive.
 */
import { memoryLimit } from "../native/devices.js";
import { ModelError } from "../base/errors.js";
import { withFile } from "../base/file-state.js";
import type { Owned } from "../native/types/values.js";
import { decodeSteps, inlineFunctions, LimitError, sizeSteps, type Graph } from "../onnx/index.js";
import { inSlices } from "./slices.js";
import { fileInput, leaving, Malformed, memoryInput, type WireInput } from "./wire.js";

/**
 * Refuses a model that the runtime would not survive. Anything else that is wrong with it the runtime says itself. Returns the
 * graph without the numbers of its large constants; null where it cannot be read.
 *
 * @throws ModelError ERR_MODEL_UNSUPPORTED for what nests too deeply, has too many nodes, or does not fit into memory
 */
export async function checkBeforeOpening(source: string | Uint8Array, name: string): Promise<Graph | null> {
  const graph = await outlineOf(source, name);
  if (graph) await checkGraph(graph, name);
  return graph;
}

/** The graph without the numbers of its large constants; null where it cannot be read. @throws as {@link checkBeforeOpening} */
export async function outlineOf(
  source: string | Uint8Array | Owned<Uint8Array>,
  name: string,
): Promise<Graph | null> {
  const given = typeof source === "string" || source instanceof Uint8Array ? source : source.owned;
  try {
    const decoding = decodeSteps(await outlined(given), name);
    return await inSlices("reading a model", decoding);
  } catch (error) {
    if (error instanceof LimitError) throw error;
    // A file that cannot be read, or is no model: opening it will say so.
    if (!(error instanceof ModelError || error instanceof Malformed)) throw error;
    return null;
  }
}

/** As {@link checkBeforeOpening}, for a graph. */
export async function checkGraph(graph: Graph, name: string, signal?: AbortSignal): Promise<void> {
  try {
    const checking = sizeSteps(inlineFunctions(graph), memoryLimit(), name);
    await inSlices("reading a model", checking, signal);
  } catch (error) {
    if (error instanceof LimitError || !(error instanceof ModelError)) throw error;
  }
}

async function outlined(source: string | Uint8Array): Promise<Uint8Array> {
  if (source instanceof Uint8Array) return outline(memoryInput(source));
  return withFile(source, source, {}, (file) => outline(fileInput(file, source)));
}

function outline(input: WireInput): Promise<Uint8Array> {
  return leaving(input, { leavesOut: (kind) => kind === "tensor" || kind === "weight" });
}
