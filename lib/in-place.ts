/**
 * Matrices of products that stay in the model's own file until a session needs them. Unlike files of weights, a
 * model's file may be written again at any time, which a process that has mapped it does not survive: a session gets a
 * copy of its own, in a file without a name.
 */
import { mkdtemp, open, rm, type FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { reason } from "./atomic-write.js";
import { ModelError, describe } from "./errors.js";
import {
  externalWeights,
  inlineExternal,
  placeExternal,
  productWeights,
  withExternal,
  type ExternalRange,
  type ExternalWeight,
  type Graph,
} from "./onnx/index.js";

/** Matrices below this share of a model's bytes come with the rest. */
const leastShare = 0.5;
/** Of copied matrices, in bytes. */
const alignment = 64;
/** Bytes that are copied at once. */
const slice = 4 << 20;

/** The files of models that graphs have left matrices in. */
const ownFiles = new Set<string>();

/**
 * A graph whose matrices of products lie in `file`, from which `bytes` were read; the rest is copied out of `bytes`, so
 * that these can go. The graph as it is where that would save little.
 */
export function leaveProducts(graph: Graph, bytes: Uint8Array, file: string): Graph {
  const ranges = new Map<string, ExternalRange>();
  let left = 0;
  for (const name of productWeights(graph)) {
    const { rawData } = graph.initializers.get(name)!;
    if (rawData.buffer !== bytes.buffer || rawData.length === 0) continue;
    left += rawData.length;
    ranges.set(name, {
      location: file,
      offset: rawData.byteOffset - bytes.byteOffset,
      length: rawData.length,
    });
  }
  if (left < leastShare * bytes.length) return graph;
  ownFiles.add(file);
  return withExternal(graph, ranges);
}

/**
 * The graph with matrices of {@link leaveProducts} in a temporary file, or in the graph where there is no room for one.
 * The file can go as soon as a session is open.
 *
 * @throws ModelError ERR_MODEL_NOT_FOUND when the model's file is gone or shorter
 */
export async function takeProducts(
  graph: Graph,
  name: string,
): Promise<{ graph: Graph; release: () => Promise<void> }> {
  const own = externalWeights(graph).filter(({ location }) => ownFiles.has(location));
  if (own.length === 0) return { graph, release: async () => {} };
  const sources = new Map<string, FileHandle>();
  let folder: string | undefined;
  const release = async (): Promise<void> => {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  };
  try {
    for (const { location } of own)
      if (!sources.has(location)) sources.set(location, await opened(location, name));
    try {
      folder = await mkdtemp(join(tmpdir(), "tr0n-"));
      const copy = join(folder, "weights");
      const offsets = await copied(own, sources, copy, name);
      const place = ({ name: weight }: ExternalWeight) =>
        offsets.has(weight) ? { location: copy, offset: offsets.get(weight)! } : null;
      return { graph: placeExternal(graph, place), release };
    } catch (error) {
      await release();
      if (error instanceof ModelError) throw error;
      const read = new Map<string, Uint8Array>();
      for (const weight of own) {
        const bytes = new Uint8Array(weight.length);
        await fill(sources.get(weight.location)!, bytes, weight.offset, weight.location, name);
        read.set(weight.name, bytes);
      }
      return { graph: withInlined(graph, read), release };
    }
  } finally {
    for (const source of sources.values()) await source.close();
  }
}

async function opened(path: string, name: string): Promise<FileHandle> {
  try {
    return await open(path, "r");
  } catch (error) {
    throw new ModelError(
      "ERR_MODEL_NOT_FOUND",
      `${name}: ${describe(path)} cannot be read: ${reason(error)}`,
      {
        cause: error,
      },
    );
  }
}

/** Writes the matrices one behind another; where each begins. */
async function copied(
  weights: readonly ExternalWeight[],
  sources: ReadonlyMap<string, FileHandle>,
  path: string,
  name: string,
): Promise<Map<string, number>> {
  const offsets = new Map<string, number>();
  const target = await open(path, "wx", 0o600);
  try {
    const buffer = new Uint8Array(slice);
    let end = 0;
    for (const { name: weight, location, offset, length } of weights) {
      offsets.set(weight, end);
      for (let at = 0; at < length; at += slice) {
        const part = buffer.subarray(0, Math.min(slice, length - at));
        await fill(sources.get(location)!, part, offset + at, location, name);
        for (let done = 0; done < part.length;)
          done += (await target.write(part, done, part.length - done, end + at + done)).bytesWritten;
      }
      end += Math.ceil(length / alignment) * alignment;
    }
  } finally {
    await target.close();
  }
  return offsets;
}

async function fill(
  source: FileHandle,
  bytes: Uint8Array,
  offset: number,
  path: string,
  name: string,
): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesRead } = await source.read(bytes, at, bytes.length - at, offset + at);
    if (bytesRead === 0)
      throw new ModelError("ERR_MODEL_INVALID", `${name}: ${describe(path)} has changed since it was loaded`);
    at += bytesRead;
  }
}

function withInlined(graph: Graph, read: ReadonlyMap<string, Uint8Array>): Graph {
  const order = [...graph.initializers.keys()].filter((constant) => read.has(constant)).values();
  // Places are given as they are, not relative to a folder.
  const relative = placeExternal(graph, ({ name, offset }) =>
    read.has(name) ? { location: "own", offset } : null,
  );
  return inlineExternal(
    relative,
    () => read.get(order.next().value!)!,
    (constant) => read.has(constant),
  );
}
