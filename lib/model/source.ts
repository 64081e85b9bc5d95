/** Where models come from: files and bytes. */
import { createHash } from "node:crypto";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { checkPath } from "../base/check.js";
import { ArgumentError, ModelError, invalid } from "../base/errors.js";
import { parts, withFile, type FileState, type StatedFile } from "../base/file-state.js";
import { runJob } from "../native/job.js";
import { ModelFolder } from "./folder.js";
import { checkBeforeOpening } from "./outline.js";
import { native } from "../native/binding.js";
import { onCpu, type ModelPlace } from "../native/placement.js";
import type { NativeSession } from "../native/types/models.js";
import type { Owned } from "../native/types/values.js";
import {
  decodeSteps,
  describeNode,
  externalWeights,
  needsSpelling,
  sizesOfWeights,
  targetOf,
  wrongDeclaration,
  type Graph,
  type Steps,
} from "../onnx/index.js";
import type { Decision } from "../base/decisions.js";
import { adaptGraph, isEmpty, type Adaptation } from "./adaptation.js";
import { refusedChanges, typeChanges, type TypeChange } from "./number-types.js";
import { graphAsRun } from "./off-loop.js";
import { RestingSession } from "./resting-session.js";
import { inSlices } from "./slices.js";
import { withoutOwnWeights, worthLeaving } from "./own-weights.js";
import { explained, folderError, formatOf as formatOfFile, type Readable } from "./foreign-file.js";
import type { CheckedFile } from "./checked-file.js";
import { maxModelBytes, openGraph, resolveExternal, tooLarge } from "./weights.js";

/** Where a model came from, readable again. */
export interface Source {
  readonly name: string;
  /** What the addon opens. */
  readonly native: string | Owned<Uint8Array>;
  /** Where external data lies; null for bytes without a folder. */
  readonly folder: ModelFolder | null;
  /** Passes on what reads any of its bytes, for as long as `use` runs. */
  within<T>(use: (file: Readable) => Promise<T>): Promise<T>;
  bytes(signal?: AbortSignal): Promise<Uint8Array>;
  /** The model's file as it was seen first; null for bytes, and before anything was read. */
  checked(): CheckedFile | null;
  /** Uses the model's file, open; null for bytes. */
  readonly file: (<T>(use: (file: StatedFile) => Promise<T>) => Promise<T>) | null;
  /** Passes on all bytes, in parts that are good for one call. */
  eachPart(use: (part: Uint8Array) => void): Promise<void>;
}

/**
 * @param source a path, a file URL, or a model's bytes (copied)
 * @param baseDirectory for bytes: the folder that external data lies in
 */
export function modelSource(source: unknown, baseDirectory?: unknown): Source {
  if (baseDirectory !== undefined) {
    checkPath("options.baseDirectory", baseDirectory);
    if (!(source instanceof Uint8Array))
      throw new ArgumentError(
        "options.baseDirectory: only for a model given as bytes; for one in a file it is the file's folder",
      );
    return bytesSource(source, new ModelFolder(resolve(baseDirectory)));
  }
  return source instanceof Uint8Array ? bytesSource(source, null) : pathSource(source);
}

/** What messages call a model without a file. */
export const bytesName = "the model given as bytes";

function bytesSource(given: Uint8Array, folder: ModelFolder | null): Source {
  // At once, for what the caller does to them from now on must change nothing. Not slice(): a Node Buffer has its own, which
  // makes a view.
  const bytes = new Uint8Array(given);
  return {
    name: bytesName,
    native: { owned: bytes },
    folder,
    within: (use) => use({ size: bytes.length, read: async (at, length) => bytes.subarray(at, at + length) }),
    bytes: async () => bytes,
    checked: () => null,
    file: null,
    eachPart: async (use) => {
      for (let at = 0; at < bytes.length; at += partBytes) {
        use(bytes.subarray(at, at + partBytes));
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
}

/** Bytes that are hashed before the event loop has its turn. */
const partBytes = 1 << 20;

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
  let seen: FileState | undefined;
  const reading = <T>(use: (file: StatedFile) => Promise<T>): Promise<T> =>
    withFile(full, path, { state: seen, kind: "a model file" }, (file) => {
      seen = file.state;
      return use(file);
    });
  return {
    name: path,
    native: full,
    folder: new ModelFolder(dirname(full), full),
    within: (use) =>
      reading(({ handle, size }) =>
        use({
          size,
          read: async (at, length) => {
            const { bytesRead, buffer } = await handle.read(Buffer.alloc(length), 0, length, at);
            return buffer.subarray(0, bytesRead);
          },
        }),
      ),
    bytes: (signal) =>
      reading(({ handle, size }) => {
        if (size > maxModelBytes) throw tooLarge(path, size);
        return handle.readFile({ signal });
      }),
    checked: () => (seen === undefined ? null : { path: full, state: seen, own: true }),
    file: reading,
    eachPart: (use) =>
      reading(async (file) => {
        for await (const part of parts(file, 0, file.size, path)) use(part);
      }),
  };
}

/** A model opened, and what was done to it. */
export interface OpenedSource {
  readonly session: RestingSession;
  readonly adaptation: Adaptation;
  /** What was done that nobody asked for, and why. */
  readonly decided: readonly Omit<Decision, "option">[];
}

/**
 * What a file holds: as its bytes tell.
 *
 * @throws ModelError ERR_MODEL_INVALID for what is certainly no model, ERR_MODEL_NOT_FOUND
 */
export async function formatOf(from: Source): Promise<"onnx" | "torchscript"> {
  try {
    return await from.within((file) => formatOfFile(from.name, file));
  } catch (error) {
    const path = from.native;
    if (!(error instanceof ModelError) || error.code !== "ERR_MODEL_NOT_FOUND" || typeof path !== "string")
      throw error;
    throw (await folderError(from.name, path)) ?? error;
  }
}

/** What `work` gives, or the error of a file that is no model in words of what it is. */
async function orExplained<T>(source: Source, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ModelError) || error.code !== "ERR_MODEL_INVALID") throw error;
    throw (await source.within((file) => explained(source.name, file)).catch(() => null)) ?? error;
  }
}

/**
 * Opens the model, where the runtime would survive it. One that needs no adaptation is opened as it is. One with weights in
 * other files is read here: the runtime would open whatever it names, and map it, and whoever shortened a file would end this
 * process. One for a device is opened in the form that its provider runs.
 *
 * @param wanted what is to be done to it; what a file needs to be opened is done without ({@link putRight})
 */
export async function openSource(
  source: Source,
  wanted: Adaptation,
  options: { threads: number; what: string; signal?: AbortSignal | undefined; place?: ModelPlace },
): Promise<OpenedSource> {
  const given = source.native;
  const outline = await checkBeforeOpening(typeof given === "string" ? given : given.owned, source.name);
  const onCpuAlone = (options.place ?? onCpu).device === "cpu";
  const needed: Needed[] = outline
    ? await inSlices("reading a model", putRight(outline, onCpuAlone), options.signal)
    : [];
  const opening = async (changes: readonly Needed[]): Promise<OpenedSource> => {
    const adaptation: Adaptation = { ...wanted, ...Object.fromEntries(changes.map(({ by }) => [by, true])) };
    const decided = changes
      .filter(({ by }) => !wanted[by])
      .map(({ value, reason }) => ({ value, reason, certain: true }));
    const open = (): Promise<NativeSession> =>
      openAdapted(source, adaptation, { ...options, signal: undefined });
    const session = await openAdapted(source, adaptation, options);
    const rests = onCpuAlone && source.file !== null && (await sizeOf(source.file)) >= largeWeights;
    return { session: new RestingSession(session, rests ? open : null), adaptation, decided };
  };
  try {
    return await opening(needed);
  } catch (error) {
    if (!(error instanceof ModelError) || !outline || options.signal?.aborted) throw error;
    const known = new Set(needed.map(({ by }) => by));
    const more = refusedChanges(outline, error.message).filter(({ by }) => !known.has(by) && !wanted[by]);
    if (more.length === 0) throw error;
    try {
      return await opening([...needed, ...more]);
    } catch (second) {
      // What the file's own form is refused for says more.
      throw second instanceof ModelError ? error : second;
    }
  }
}

/** Something that must be done to a model. */
interface Needed {
  readonly by: "standard" | "declarations" | "weightSizes" | TypeChange["by"];
  readonly value: string;
  readonly reason: string;
}

/** What must be done to a graph that nobody asked for; it may lack the numbers of large constants. */
function* putRight(outline: Graph, onCpu: boolean): Steps<Needed[]> {
  const lacking = outline.nodes.find(needsSpelling);
  const wrong = yield* wrongDeclaration(outline);
  const sizes = yield* sizesOfWeights(outline);
  const told = sizes.map(([name, axis, size]) => `axis ${axis} of ${name} is ${size}`).join(", ");
  return [
    ...(lacking
      ? [
          {
            by: "standard" as const,
            value: "it runs in standard operators",
            reason: `ONNX Runtime has no kernel on CPUs for ${describeNode(lacking)}`,
          },
        ]
      : []),
    ...(wrong === null
      ? []
      : [
          {
            by: "declarations" as const,
            value: "what its file declares of shapes is left aside",
            reason: wrong,
          },
        ]),
    ...(sizes.length === 0
      ? []
      : [{ by: "weightSizes" as const, value: told, reason: "its weights take no other size" }]),
    ...typeChanges(outline, onCpu),
  ];
}

/**
 * A model as a graph to be looked at: with its shapes as a session of it would have them, but in its own operators.
 *
 * @throws as readGraph()
 */
export async function readSizedGraph(
  source: Source,
  wanted: Adaptation,
  signal?: AbortSignal,
): Promise<{ graph: Graph; decided: OpenedSource["decided"] }> {
  const graph = await readGraph(source, {}, signal);
  const needed = (await inSlices("reading a model", putRight(graph, true), signal)).filter(
    ({ by }) => by === "declarations" || by === "weightSizes",
  );
  const adaptation = { ...wanted, ...Object.fromEntries(needed.map(({ by }) => [by, true])) };
  return {
    graph: await adaptGraph(graph, adaptation, source.name, signal),
    decided: needed.map(({ value, reason }) => ({ value, reason, certain: true })),
  };
}

async function openAdapted(
  source: Source,
  adaptation: Adaptation,
  options: Parameters<typeof openSource>[2],
): Promise<NativeSession> {
  const { what, signal, threads, place = onCpu } = options;
  const { name } = source;
  const state = source.checked()?.state;
  const how = { name, ...(state === undefined ? {} : { state }) };
  if (place.device !== "cpu") {
    const graph = await readGraph(source, adaptation, signal);
    return openGraph(await graphAsRun(graph, signal, targetOf(place.device)), { ...options, name });
  }
  if (!isEmpty(adaptation))
    return openGraph(await readGraphInPlace(source, adaptation, signal), {
      ...options,
      name,
      alone: true,
    });
  const external = await orExplained(source, () =>
    runJob(what, signal, () => native().hasExternalData(source.native, how)),
  );
  if (external) return openGraph(await readGraph(source, adaptation, signal), { ...options, name });
  const large = await largeGraph(source, signal);
  if (large) return openGraph(large, { ...options, name, alone: true });
  return orExplained(source, () =>
    runJob(what, signal, () => native().openSession(source.native, { ...how, threads, ...place })),
  );
}

function sizeOf(file: NonNullable<Source["file"]>): Promise<number> {
  return file(async ({ size }) => size);
}

/** From this many bytes of weights on the runtime does not read a file itself: it would hold them up to three times then. */
const largeWeights = 16 << 20;

/** A graph of a file with so many weights; null for any other, and for one that only the runtime can tell what is wrong with. */
async function largeGraph(source: Source, signal: AbortSignal | undefined): Promise<Graph | null> {
  if (source.file === null || (await sizeOf(source.file)) < largeWeights) return null;
  try {
    const graph = await readGraphInPlace(source, {}, signal);
    const bytes = externalWeights(graph).reduce((sum, { length }) => sum + length, 0);
    return bytes < largeWeights ? null : graph;
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return null;
  }
}

/**
 * A model as a graph, adapted. Large weights that lie in other files stay there.
 *
 * @throws ModelError when it cannot be read, has changed since it was looked at, or has over 2 GB in one file
 */
export async function readGraph(
  source: Source,
  adaptation: Adaptation,
  signal?: AbortSignal,
): Promise<Graph> {
  const graph = await decoded(await source.bytes(signal), source, signal);
  const whole = await resolveExternal(graph, source.folder, source.name);
  return adaptGraph(whole, adaptation, source.name, signal);
}

/**
 * As {@link readGraph} for a graph that will be opened on this machine: where most of a model's file are large constants that
 * nobody but the runtime looks into, they stay there too instead of going through this process.
 */
export async function readGraphInPlace(
  source: Source,
  adaptation: Adaptation,
  signal?: AbortSignal,
): Promise<Graph> {
  const left = await source.file?.(async (file) => {
    if (file.size > maxModelBytes) throw tooLarge(source.name, file.size);
    const bytes = await withoutOwnWeights(file, source.name);
    const graph = bytes && (await decoded(bytes, source, signal));
    if (graph === null || !worthLeaving(graph, file)) return null;
    const checked = { path: source.native as string, state: file.state, own: true };
    return resolveExternal(graph, source.folder, source.name, { ...file, checked });
  });
  return left ? adaptGraph(left, adaptation, source.name, signal) : readGraph(source, adaptation, signal);
}

/**
 * SHA-256 of a model's bytes and then of its files of weights in the order of their names, in hex.
 *
 * @param change what is done to it that makes it another function; null for nothing
 * @throws ModelError as the reading does
 */
export async function hashSource(
  source: Source,
  external: readonly string[] = [],
  change: string | null = null,
): Promise<string> {
  const hash = createHash("sha256");
  await source.eachPart((part) => hash.update(part));
  for (const location of [...external].sort())
    await source.folder!.read(location, source.name, async (file) => {
      for await (const part of parts(file, 0, file.size, source.name)) hash.update(part);
    });
  if (change !== null) hash.update(change);
  return hash.digest("hex");
}

function decoded(bytes: Uint8Array, source: Source, signal: AbortSignal | undefined): Promise<Graph> {
  return orExplained(source, () => inSlices("reading a model", decodeSteps(bytes, source.name), signal));
}
