/** Writing graphs whose weights may lie in files. */
import { createReadStream } from "node:fs";
import { basename, dirname, isAbsolute, relative, resolve } from "node:path";
import { reason, writeFileAtomic } from "./atomic-write.js";
import { AbortError, FileError } from "./errors.js";
import {
  encodeSteps,
  externalWeights,
  placeExternal,
  type ExternalWeight,
  type Graph,
} from "./onnx/index.js";
import { inSlices } from "./slices.js";

export interface WrittenModel {
  /** Of the model's file. */
  readonly bytes: number;
  /** The files that its weights lie in, relative to its folder. */
  readonly external: readonly string[];
}

/** Weights begin at multiples of this, as vectorised kernels like it. */
const alignment = 64;

/**
 * Writes a model, atomically. Weights outside stay in their files when these lie in the model's folder or below it, which
 * is where runtimes look; else they are copied into one file beside it, `<path>.data`.
 *
 * @throws FileError ERR_IO naming the path, AbortError
 */
export async function writeModel(
  path: string,
  graph: Graph,
  options: { signal?: AbortSignal } = {},
): Promise<WrittenModel> {
  const folder = dirname(resolve(path));
  const weights = externalWeights(graph);
  const inside = (location: string): boolean => {
    const way = relative(folder, location);
    return !isAbsolute(way) && way.split(/[/\\]/)[0] !== "..";
  };
  let placed = placeExternal(graph, ({ location, offset }) => ({
    location: relative(folder, location),
    offset,
  }));
  if (!weights.every(({ location }) => inside(location))) {
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

/** The bytes of weights, one after the other, each up to a multiple of the alignment. */
async function* copied(
  weights: readonly ExternalWeight[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  for (const { location, offset, length } of weights) {
    const end = offset + length - 1;
    let got = 0;
    try {
      for await (const chunk of createReadStream(location, { start: offset, end, highWaterMark: 1 << 20 })) {
        got += (chunk as Buffer).length;
        yield chunk as Buffer;
        if (signal?.aborted) throw new AbortError(`copying ${location}`, { cause: signal.reason as unknown });
      }
    } catch (error) {
      if (error instanceof AbortError) throw error;
      throw new FileError("ERR_IO", `${location}: cannot be read: ${reason(error)}`, { cause: error });
    }
    if (got !== length)
      throw new FileError(
        "ERR_IO",
        `${location}: expected ${length} bytes at ${offset}, got ${got}: the file has changed`,
      );
    const rest = (alignment - (length % alignment)) % alignment;
    if (rest > 0) yield new Uint8Array(rest);
  }
}
