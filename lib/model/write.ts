/** Writing graphs whose weights may lie in files. */
import { realpath } from "node:fs/promises";
import { basename, dirname, relative, resolve } from "node:path";
import { writeFileAtomic } from "../base/atomic-write.js";
import { AbortError, describe } from "../base/errors.js";
import { fill, withFile } from "../base/file-state.js";
import { liesBelow } from "./folder.js";
import { encodeSteps, externalWeights, placeExternal, type Graph } from "../onnx/index.js";
import { inSlices } from "./slices.js";
import { checkedFileOf, checkedWeights, type CheckedWeight } from "./checked-file.js";

interface WrittenModel {
  /** Of the model's file. */
  readonly bytes: number;
  /** The files that its weights lie in, relative to its folder. */
  readonly external: readonly string[];
}

/** Weights begin at multiples of this, as vectorised kernels like it. */
const alignment = 64;
/** Bytes that are copied at once. */
const slice = 4 << 20;

/**
 * Writes a model, atomically. Weights outside stay in their files when these lie in the model's folder or below it, which
 * is where runtimes look; else they are copied into one file beside it, `<path>.data`.
 *
 * @throws FileError ERR_IO naming the path, ModelError for weights that cannot be read or have changed, AbortError
 */
export async function writeModel(
  path: string,
  graph: Graph,
  options: { signal?: AbortSignal } = {},
): Promise<WrittenModel> {
  const folder = dirname(resolve(path));
  const weights = checkedWeights(graph);
  const inside = await allBelow(folder, new Set(weights.map((weight) => weight.path)));
  let placed = placeExternal(graph, ({ location, offset }) => ({
    location: relative(folder, checkedFileOf(location).path),
    offset,
  }));
  if (!inside) {
    const data = `${path}.data`;
    const offsets = new Map<string, number>();
    let end = 0;
    for (const { name, length } of weights) {
      offsets.set(name, end);
      end += Math.ceil(length / alignment) * alignment;
    }
    await writeFileAtomic(data, copied(weights, options.signal), options);
    placed = placeExternal(graph, ({ name }) => ({ location: basename(data), offset: offsets.get(name)! }));
  }
  const bytes = await inSlices("writing a model", encodeSteps(placed));
  await writeFileAtomic(path, bytes, options);
  return {
    bytes: bytes.length,
    external: [...new Set(externalWeights(placed).map(({ location }) => location))],
  };
}

/** Whether a model in this folder may refer to all of these files: {@link ModelFolder}'s rule. */
async function allBelow(folder: string, files: ReadonlySet<string>): Promise<boolean> {
  if (![...files].every((file) => liesBelow(folder, file))) return false;
  try {
    const root = await realpath(folder);
    for (const file of files) if (!liesBelow(root, await realpath(file))) return false;
    return true;
  } catch {
    return false; // what cannot be found is copied, or fails there
  }
}

/** The bytes of weights, one after the other, each up to a multiple of the alignment. */
async function* copied(
  weights: readonly CheckedWeight[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  for (const { name, path, state, offset, length } of weights) {
    const what = `constant ${describe(name)}: ${path}`;
    const buffer = new Uint8Array(Math.min(slice, length));
    for (let at = 0; at < length; at += slice) {
      if (signal?.aborted) throw new AbortError(`copying ${path}`, { cause: signal.reason as unknown });
      const part = buffer.subarray(0, Math.min(slice, length - at));
      await withFile(path, what, { state }, (file) => fill(file, part, offset + at, what));
      yield part;
    }
    const rest = (alignment - (length % alignment)) % alignment;
    if (rest > 0) yield new Uint8Array(rest);
  }
}
