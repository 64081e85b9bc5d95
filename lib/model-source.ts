/** Where models come from: files and bytes. */
import { open, readFile, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { reason } from "./atomic-write.js";
import { checkPath } from "./check.js";
import { ModelError, Tr0nError, invalid } from "./errors.js";
import { leaveProducts } from "./in-place.js";
import { runJob } from "./job.js";
import { checkBeforeOpening } from "./model-outline.js";
import { native, type NativeSession } from "./native.js";
import { decodeSteps, type Graph } from "./onnx/index.js";
import { inSlices } from "./slices.js";
import { maxModelBytes, openGraph, resolveExternal, tooLarge } from "./weights.js";

/** Where a model came from, readable again. */
export interface Source {
  readonly name: string;
  /** What the addon opens. */
  readonly native: string | Uint8Array;
  /** The folder that external data lies in; null for bytes. */
  readonly folder: string | null;
  head(): Promise<Uint8Array>;
  /** Whether it may have weights in other files. */
  mayBeSplit(): Promise<boolean>;
  bytes(signal?: AbortSignal): Promise<Uint8Array>;
}

/** @param source a path, a file URL, or a model's bytes (copied) */
export function modelSource(source: unknown): Source {
  return source instanceof Uint8Array ? bytesSource(source) : pathSource(source);
}

function bytesSource(given: Uint8Array): Source {
  const bytes = Uint8Array.from(given);
  return {
    name: "the model given as bytes",
    native: bytes,
    folder: null,
    head: async () => bytes.subarray(0, 4),
    // It could not: there is no folder that they would lie in.
    mayBeSplit: async () => false,
    bytes: async () => bytes,
  };
}

function pathSource(source: unknown): Source {
  let path: string;
  if (source instanceof URL || (typeof source === "string" && /^[a-z][a-z0-9+.-]+:\/\//i.test(source))) {
    if (!URL.canParse(String(source))) throw invalid("source", "a path, a file URL or bytes", source);
    const url = new URL(source);
    if (url.protocol !== "file:")
      throw invalid("source", "a path, a file URL or bytes; fetch remote models first", url.href);
    try {
      path = fileURLToPath(url);
    } catch {
      throw invalid("source", "the URL of a file on this machine, such as file:///models/g.onnx", url.href);
    }
  } else {
    checkPath("source", source ?? null);
    path = source as string;
  }
  const full = resolve(path);
  let seen: { size: number; mtimeMs: number } | undefined;
  const guarded = async <T>(body: () => Promise<T>): Promise<T> => {
    try {
      return await body();
    } catch (error) {
      if (error instanceof Tr0nError || (error as Error).name === "AbortError") throw error;
      throw new ModelError("ERR_MODEL_NOT_FOUND", `${path}: cannot be read: ${reason(error)}`, {
        cause: error,
      });
    }
  };
  return {
    name: path,
    native: full,
    folder: dirname(full),
    head: () =>
      guarded(async () => {
        const info = await stat(full);
        if (!info.isFile())
          throw new ModelError(
            "ERR_MODEL_NOT_FOUND",
            `${path}: expected a model file, got a folder or a device`,
          );
        seen = info;
        const file = await open(full, "r");
        try {
          const { bytesRead, buffer } = await file.read(Buffer.alloc(4), 0, 4, 0);
          return buffer.subarray(0, bytesRead);
        } finally {
          await file.close();
        }
      }),
    mayBeSplit: () => guarded(() => contains(full, externalMarker)),
    bytes: (signal) =>
      guarded(async () => {
        const { size, mtimeMs } = await stat(full);
        if (size > maxModelBytes) throw tooLarge(path, size);
        if (seen && (seen.size !== size || seen.mtimeMs !== mtimeMs))
          throw new ModelError(
            "ERR_MODEL_INVALID",
            `${path}: the file has changed since it was loaded; load it again`,
          );
        return readFile(full, { signal });
      }),
  };
}

/** How the protobuf of a constant says where its numbers lie: the key "location" as field 1, then field 2. */
const externalMarker = Buffer.from("\n\x08location\x12", "latin1");

/** Whether a file has these bytes anywhere. */
async function contains(path: string, marker: Buffer): Promise<boolean> {
  const file = await open(path, "r");
  try {
    const chunk = Buffer.alloc(4 << 20);
    for (let at = 0, kept = 0; ;) {
      const { bytesRead } = await file.read(chunk, kept, chunk.length - kept, at);
      if (bytesRead === 0) return false;
      if (chunk.subarray(0, kept + bytesRead).includes(marker)) return true;
      at += bytesRead;
      // The end of this part may be the marker's beginning.
      const end = kept + bytesRead;
      kept = Math.min(end, marker.length - 1);
      chunk.copyWithin(0, end - kept, end);
    }
  } finally {
    await file.close();
  }
}

/**
 * Opens the model as it is, where the runtime would survive it. One with weights in other files is read here: the runtime would map those files, and whoever
 * shortened one would end this process.
 */
export async function openSource(
  source: Source,
  options: { threads: number; what: string; signal?: AbortSignal | undefined },
): Promise<NativeSession> {
  await checkBeforeOpening(source.native, source.name);
  if (await source.mayBeSplit())
    return openGraph(await readGraph(source, options.signal), { ...options, name: source.name });
  return runJob(options.what, options.signal, () =>
    native().openSession(source.native, { name: source.name, threads: options.threads }),
  );
}

/**
 * A model as a graph. Large weights that lie in other files stay there, by their full paths.
 *
 * @throws ModelError when it cannot be read, has changed since it was looked at, or has over 2 GB in one file
 */
export async function readGraph(source: Source, signal?: AbortSignal): Promise<Graph> {
  const graph = await decoded(await source.bytes(signal), source, signal);
  return resolveExternal(graph, source.folder, source.name);
}

/**
 * As {@link readGraph} for a graph that will be opened on this machine: where most of a model's file are matrices of
 * products, which nobody but the runtime looks into, they stay there too instead of going through this process.
 */
export async function readGraphInPlace(source: Source, signal?: AbortSignal): Promise<Graph> {
  const bytes = await source.bytes(signal);
  const graph = await resolveExternal(await decoded(bytes, source, signal), source.folder, source.name);
  return typeof source.native === "string" ? leaveProducts(graph, bytes, source.native) : graph;
}

function decoded(bytes: Uint8Array, source: Source, signal: AbortSignal | undefined): Promise<Graph> {
  return inSlices("reading a model", decodeSteps(bytes, source.name), signal);
}
