/** Files as they were when a model was loaded: opened so that nothing hangs, and told apart from what they become. */
import { constants, type BigIntStats } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { reason } from "./atomic-write.js";
import { ModelError, Tr0nError } from "./errors.js";

/** Equal for the same file, unchanged. The addon's OpenedFile says the same of the files that it opens. */
export type FileState = string;

function fileState({ dev, ino, size, mtimeNs }: BigIntStats): FileState {
  return `${dev}:${ino}:${size}:${mtimeNs}`;
}

/** An open regular file. */
export interface StatedFile {
  readonly handle: FileHandle;
  readonly state: FileState;
  readonly size: number;
}

/**
 * Opens a regular file for reading and passes it on; it is closed afterwards.
 *
 * @param what how messages call it
 * @param options.state what it must be; default: anything
 * @param options.kind what is expected to be there. Default: a file
 * @param options.linked false: refuse a link in the last place of the path
 * @throws ModelError ERR_MODEL_NOT_FOUND, or ERR_MODEL_INVALID when it is in another state, or in another after `use`
 */
export async function withFile<T>(
  path: string,
  what: string,
  options: { state?: FileState | undefined; kind?: string; linked?: boolean },
  use: (file: StatedFile) => Promise<T>,
): Promise<T> {
  let handle: FileHandle | undefined;
  try {
    // Not blocking: a pipe without a writer must not hold the caller up. (Windows has neither flag.)
    const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);
    handle = await open(path, options.linked === false ? flags | (constants.O_NOFOLLOW ?? 0) : flags);
    const info = await handle.stat({ bigint: true });
    if (!info.isFile())
      throw new ModelError(
        "ERR_MODEL_NOT_FOUND",
        `${what}: expected ${options.kind ?? "a file"}, got ${info.isDirectory() ? "a folder" : "a device, a pipe or a socket"}`,
      );
    const state = fileState(info);
    if (options.state !== undefined && options.state !== state) throw changed(what);
    const result = await use({ handle, state, size: Number(info.size) });
    if (fileState(await handle.stat({ bigint: true })) !== state) throw changed(what);
    return result;
  } catch (error) {
    if (error instanceof Tr0nError || (error as Error).name === "AbortError") throw error;
    throw new ModelError("ERR_MODEL_NOT_FOUND", `${what}: cannot be read: ${reason(error)}`, {
      cause: error,
    });
  } finally {
    await handle?.close();
  }
}

function changed(what: string): ModelError {
  return new ModelError(
    "ERR_MODEL_INVALID",
    `${what}: the file has changed since it was loaded; load the model again`,
  );
}

/** Reads exactly so many bytes. @throws ModelError ERR_MODEL_INVALID when the file ends before them */
export async function fill(
  { handle }: StatedFile,
  bytes: Uint8Array,
  offset: number,
  what: string,
): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesRead } = await handle.read(bytes, at, bytes.length - at, offset + at);
    if (bytesRead === 0) throw changed(what);
    at += bytesRead;
  }
}

/** Bytes that come at once. */
const slice = 1 << 20;

/** A range of a file in parts, which are good until the next is asked for. @throws as {@link fill} */
export async function* parts(
  file: StatedFile,
  offset: number,
  length: number,
  what: string,
): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(Math.min(slice, length));
  for (let at = 0; at < length; at += slice) {
    const part = buffer.subarray(0, Math.min(slice, length - at));
    await fill(file, part, offset + at, what);
    yield part;
  }
}
