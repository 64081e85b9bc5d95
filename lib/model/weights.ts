/** Weights in files of their own: read once, and shared by all sessions on them. */
import type { TensorProto } from "onnx-buf";
import { ModelError, describe } from "../base/errors.js";
import { fill, type StatedFile } from "../base/file-state.js";
import { runJob } from "../native/job.js";
import { hashBytes } from "../base/hash.js";
import type { ModelFolder, OpenWeightFile } from "./folder.js";
import { checkGraph } from "./outline.js";
import { native } from "../native/binding.js";
import { onCpu, type ModelPlace } from "../native/placement.js";
import type { NativeFileWeight, NativeSession } from "../native/types/models.js";
import {
  constantsAsInputs,
  embeddedExternal,
  encodeSteps,
  externalRange,
  fillExternal,
  halfWeights,
  inlineExternal,
  placeExternal,
  productWeights,
  rowBytesSteps,
  sharedProductBytes,
  tensorBytes,
  type Graph,
} from "../onnx/index.js";
import { rememberMemory } from "./batch-size.js";
import { checkFallback } from "./fallback.js";
import { inSlices } from "./slices.js";
import { checkedLocation, checkedWeights, type CheckedFile } from "./checked-file.js";
import { keptOutside, ownWeights } from "./own-weights.js";

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
 * A graph as read from a file whose large weights lie in other files of its folder: those stay outside, in files that
 * checkedFileOf() knows; small ones become part of it, and so do all that attributes, bodies and functions hold, in `given` itself.
 *
 * @param folder null for a model that came as bytes without one
 * @param own the file that the graph was read from, where it left constants there
 * @throws ModelError ERR_MODEL_NOT_FOUND, ERR_MODEL_INVALID for files that are not as the graph says, ERR_MODEL_UNSUPPORTED
 */
export async function resolveExternal(
  given: Graph,
  folder: ModelFolder | null,
  name: string,
  own: (StatedFile & { readonly checked: CheckedFile }) | null = null,
): Promise<Graph> {
  let total = 0;
  const located = async <T>(
    tensor: TensorProto,
    use: (file: OpenWeightFile, offset: number, length: number, what: string) => Promise<T>,
  ): Promise<T> => {
    const what = `${name}: constant ${describe(tensor.name)}`;
    const { location, offset, length: stated } = externalRange(tensor)!;
    if (folder === null)
      throw new ModelError(
        "ERR_MODEL_UNSUPPORTED",
        `${what}: its numbers lie in another file, ${describe(location)}: load the model from its path, or say where such ` +
          "files are by the option baseDirectory",
      );
    return folder.read(location, what, (file) => {
      const expected = tensorBytes(tensor);
      const available = Math.max(0, file.size - offset);
      const length = stated ?? expected ?? available;
      if (length > available || (expected !== null && expected !== length))
        throw new ModelError(
          "ERR_MODEL_INVALID",
          `${what}: expected ${expected ?? length} bytes at ${offset} of ${describe(location)}, got ${Math.min(length, available)}`,
        );
      return use(file, offset, length, what);
    });
  };
  const read = async (
    file: StatedFile,
    offset: number,
    length: number,
    what: string,
  ): Promise<Uint8Array<ArrayBuffer>> => {
    total += length;
    if (total > maxModelBytes) throw tooLarge(name, total);
    const bytes = new Uint8Array(length);
    await fill(file, bytes, offset, what);
    return bytes;
  };
  for (const tensor of embeddedExternal(given)) fillExternal(tensor, await located(tensor, read));
  const inside = new Map<string, Uint8Array>();
  const outside = new Map<string, string>();
  const owned = new Set<string>();
  for (const { weight, unread } of own ? ownWeights(given) : []) {
    owned.add(weight.name);
    if (unread) outside.set(weight.name, checkedLocation(own!.checked));
    else inside.set(weight.name, await read(own!, weight.offset, weight.length, name));
  }
  for (const [constant, tensor] of given.initializers) {
    if (owned.has(constant) || externalRange(tensor) === null) continue;
    await located(tensor, async (file, offset, length, what) => {
      const whole = tensorBytes(tensor) !== null;
      if (whole && length >= keptOutside) outside.set(constant, checkedLocation(file.checked));
      else inside.set(constant, await read(file, offset, length, what));
    });
  }
  if (inside.size + outside.size === 0) return given;
  const names = [...given.initializers.keys()].filter((constant) => inside.has(constant)).values();
  const inlined = inlineExternal(
    given,
    () => inside.get(names.next().value!)!,
    (constant) => inside.has(constant),
  );
  return placeExternal(inlined, ({ name: constant, offset }) => ({
    location: outside.get(constant)!,
    offset,
  }));
}

/** What a session needs to know about weights of {@link resolveExternal}. */
export function fileWeights(
  graph: Graph,
  isShared: (name: string) => boolean = () => true,
): NativeFileWeight[] {
  return checkedWeights(graph).map(({ name, elemType, shape, path, state, offset }) => ({
    name,
    elemType,
    shape,
    file: path,
    state,
    offset,
    shared: isShared(name),
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

/** The oldest form of a model in which constants need not be inputs as well. */
const leastIrVersion = 4;

/** A graph for the runtime, which gets these weights as values, and no word about files. */
export function withValues(graph: Graph, weights: readonly NativeFileWeight[]): Graph {
  if (weights.length === 0) return graph;
  const inputs = constantsAsInputs(graph, new Set(weights.map(({ name }) => name)));
  return { ...inputs, irVersion: Math.max(leastIrVersion, inputs.irVersion) };
}

/**
 * Opens a session on a graph of {@link resolveExternal}; `what` is what messages call the attempt.
 *
 * @param options.fingerprint have {@link sessionFingerprint} know the session
 */
export async function openGraph(
  graph: Graph,
  options: {
    name: string;
    threads: number;
    what: string;
    signal?: AbortSignal | undefined;
    fingerprint?: boolean;
    /** How it runs; default: on the CPU. */
    place?: ModelPlace;
    /** Nobody else is to have a use for its weights: once it has them in its own form they go. */
    alone?: boolean;
    /** Find out what a row's values take: batchSize() will ask. */
    measure?: boolean;
  },
): Promise<NativeSession> {
  const { allowFallback = false, memory, ...place } = options.place ?? onCpu;
  await checkGraph(graph, options.name, options.signal);
  const { alone = false } = options;
  const half = new Set(halfWeights(graph));
  const products = new Set(alone ? [] : productWeights(graph));
  const weights = fileWeights(graph, (name) => products.has(name) || half.has(name));
  const packWeights = alone || sharedProductBytes(graph) < packedApart;
  // Half precision is half the memory only as long as no float32 is made of all of it when the session opens.
  const foldWeights = place.device !== "cpu" || half.size === 0;
  const bytes = await inSlices(options.what, encodeSteps(withValues(graph, weights)), options.signal);
  const placed = weights.map(({ name, elemType, shape, offset }) => [name, elemType, shape, offset]);
  const fingerprint = options.fingerprint
    ? `${await hashBytes(bytes)} ${JSON.stringify(placed)} ${packWeights}${place.device === "cpu" ? "" : ` ${JSON.stringify(place)}`}`
    : undefined;
  const session = await runJob(options.what, options.signal, () =>
    native().openSession(
      { owned: bytes },
      { threads: options.threads, name: options.name, weights, packWeights, foldWeights, ...place },
    ),
  );
  try {
    await checkFallback(session, graph, {
      ...{ name: options.name, device: place.device, allowFallback },
      signal: options.signal,
    });
    if (options.measure || (memory !== undefined && place.device === "cpu")) {
      const { bytes: rowBytes } = await inSlices(options.what, rowBytesSteps(graph), options.signal);
      rememberMemory(session, { device: place.device, rowBytes, limit: place.deviceMemory, memory });
    }
  } catch (error) {
    session.dispose();
    throw error;
  }
  if (fingerprint !== undefined) fingerprints.set(session, fingerprint);
  return session;
}
