/** Weights in files of their own: read once, and shared by all sessions on them. */
import { open, stat } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { reason } from "./atomic-write.js";
import { ModelError, Tr0nError, describe } from "./errors.js";
import { takeProducts } from "./in-place.js";
import { runJob } from "./job.js";
import { hashBytes } from "./hash.js";
import { checkGraph } from "./model-outline.js";
import { native, type NativeFileWeight, type NativeSession } from "./native.js";
import {
  encodeSteps,
  externalRange,
  externalWeights,
  inlineExternal,
  placeExternal,
  sharedProductBytes,
  tensorBytes,
  type Graph,
} from "./onnx/index.js";
import { inSlices } from "./slices.js";

/** Constants from this many bytes on stay in their files; smaller ones may be sizes, which rules look into. */
const keptOutside = 64 << 10;

/** Of weights that sessions point into, in bytes. */
const alignment = 8;

/** Protobuf's limit for one message, and so for a model that carries its weights. */
export const maxModelBytes = 2 ** 31 - 1;

export function tooLarge(name: string, bytes: number): ModelError {
  return new ModelError(
    "ERR_MODEL_UNSUPPORTED",
    `${name}: expected a model file of at most 2 GB, got ${(bytes / 1e9).toFixed(1)} GB; save it with external data ` +
      "(onnx.save_model with save_as_external_data=True)",
  );
}

/**
 * A graph as read from a file whose large weights lie in other files of its folder: those stay outside, by their full
 * paths, small ones become part of it.
 *
 * @param folder null for a model that came as bytes
 * @throws ModelError ERR_MODEL_NOT_FOUND, ERR_MODEL_INVALID for files that are not as the graph says
 */
export async function resolveExternal(graph: Graph, folder: string | null, name: string): Promise<Graph> {
  const inside = new Map<string, Uint8Array>();
  const outside = new Set<string>();
  let total = 0;
  for (const [constant, tensor] of graph.initializers) {
    const range = externalRange(tensor);
    if (range === null) continue;
    if (folder === null)
      throw new ModelError(
        "ERR_MODEL_UNSUPPORTED",
        `${name}: its weights lie in other files, so load it from its path instead of from bytes`,
      );
    const path = join(folder, range.location);
    const bytes = tensorBytes(tensor);
    const available = (await guarded(name, range.location, () => stat(path))).size - range.offset;
    const length = range.length ?? bytes ?? available;
    if (length > available || (bytes !== null && bytes !== length))
      throw new ModelError(
        "ERR_MODEL_INVALID",
        `${name}: constant "${constant}": expected ${bytes ?? length} bytes at ${range.offset} of ` +
          `${describe(range.location)}, got ${Math.min(length, Math.max(0, available))}`,
      );
    const aligned = bytes !== null && range.offset % alignment === 0;
    if (aligned && bytes >= keptOutside) outside.add(constant);
    else {
      total += length;
      if (total > maxModelBytes) throw tooLarge(name, total);
      inside.set(constant, await guarded(name, range.location, () => readRange(path, range.offset, length)));
    }
  }
  if (inside.size + outside.size === 0) return graph;
  const names = [...inside.keys()].values();
  const inlined = inlineExternal(
    graph,
    () => inside.get(names.next().value!)!,
    (constant) => inside.has(constant),
  );
  return placeExternal(inlined, ({ location, offset }) => ({ location: join(folder!, location), offset }));
}

async function guarded<T>(name: string, location: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (error instanceof Tr0nError) throw error;
    throw new ModelError(
      "ERR_MODEL_NOT_FOUND",
      `${name}: its external data ${describe(location)} cannot be read: ${reason(error)}`,
      { cause: error },
    );
  }
}

async function readRange(path: string, offset: number, length: number): Promise<Uint8Array> {
  const file = await open(path, "r");
  try {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length;) {
      const { bytesRead } = await file.read(bytes, at, length - at, offset + at);
      if (bytesRead === 0) throw new Error("it ends early");
      at += bytesRead;
    }
    return bytes;
  } finally {
    await file.close();
  }
}

/** What a session needs to know about weights of {@link resolveExternal}. */
export function fileWeights(graph: Graph): NativeFileWeight[] {
  return externalWeights(graph).map(({ name, elemType, shape, location, offset }) => ({
    name,
    elemType,
    shape,
    file: location,
    offset,
  }));
}

/**
 * From this many bytes on, matrices that a forward and a backward pass both read are not rearranged for their kernels, for
 * each would get a copy of its own. A ViT-B/32 and its gradient take 670 MB less, and 27 % longer for one image, 7 % for 8
 * and 1 % for 32.
 */
const packedApart = 64 << 20;

const fingerprints = new WeakMap<NativeSession, string>();

/** SHA-256 of what a session of {@link openGraph} was opened on, but for weights in files; where it was asked for. */
export function sessionFingerprint(session: NativeSession): string | undefined {
  return fingerprints.get(session);
}

/**
 * Opens a session on a graph of {@link resolveExternal}; `what` is what messages call the attempt.
 *
 * @param options.fingerprint have {@link sessionFingerprint} know the session
 */
export async function openGraph(
  given: Graph,
  options: {
    name: string;
    threads: number;
    what: string;
    signal?: AbortSignal | undefined;
    fingerprint?: boolean;
  },
): Promise<NativeSession> {
  checkGraph(given, options.name);
  const { graph, release } = await takeProducts(given, options.name);
  try {
    const weights = fileWeights(graph);
    const folder = commonFolder(weights.map(({ file }) => file));
    const named = placeExternal(graph, ({ location, offset }) => ({
      location: relative(folder, location),
      offset,
    }));
    const packWeights = sharedProductBytes(graph) < packedApart;
    const bytes = await inSlices(options.what, encodeSteps(named), options.signal);
    const placed = weights.map(({ name, elemType, shape, offset }) => [name, elemType, shape, offset]);
    const fingerprint = options.fingerprint
      ? `${await hashBytes(bytes)} ${JSON.stringify(placed)} ${packWeights}`
      : undefined;
    const session = await runJob(options.what, options.signal, () =>
      native().openSession(bytes, {
        threads: options.threads,
        name: options.name,
        weights,
        packWeights,
        ...(folder === "" ? {} : { externalDataFolder: folder }),
      }),
    );
    if (fingerprint !== undefined) fingerprints.set(session, fingerprint);
    return session;
  } finally {
    await release();
  }
}

/** The innermost folder that all files lie in or below; the runtime looks nowhere else. "" for no files. */
function commonFolder(files: readonly string[]): string {
  const [first, ...others] = files.map((file) => dirname(file).split(sep));
  if (!first) return "";
  const differs = first.findIndex((part, i) => others.some((other) => other[i] !== part));
  return first.slice(0, differs < 0 ? first.length : differs).join(sep) || sep;
}
