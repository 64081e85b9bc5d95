import { randomBytes } from "node:crypto";
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { AbortError, FileError } from "./errors.js";

/**
 * Writes a file so that its path holds either what was there before or all of `bytes` (parts: one after the other), never
 * less: a temporary file in the same folder (made where missing), fsync, rename.
 *
 * @throws FileError ERR_IO naming the path; AbortError before anything was renamed.
 */
export async function writeFileAtomic(
  path: string,
  bytes: Uint8Array | string | readonly Uint8Array[] | AsyncIterable<Uint8Array>,
  options: { signal?: AbortSignal } = {},
): Promise<void> {
  const name = `.${basename(path).slice(0, 200)}.${randomBytes(6).toString("hex")}.tmp`;
  const temporary = join(dirname(path), name);
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(temporary, "wx");
    try {
      // On an open file, each call goes on where the last one ended.
      const parts = Array.isArray(bytes) ? (bytes as Uint8Array[]) : [bytes as Uint8Array | string];
      for (const part of parts) await file.writeFile(part);
      await file.sync();
    } finally {
      await file.close();
    }
    if (options.signal?.aborted)
      throw new AbortError(`writing ${path}`, { cause: options.signal.reason as unknown });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    if (error instanceof AbortError || error instanceof FileError) throw error;
    throw new FileError("ERR_IO", `${path}: cannot be written: ${reason(error)}`, { cause: error });
  }
}

/**
 * Finds out before long work whether {@link writeFileAtomic} will be able to write there.
 *
 * @throws FileError ERR_IO naming the path
 */
export async function checkWritable(path: string): Promise<void> {
  const probe = join(dirname(path), `.${randomBytes(6).toString("hex")}.tmp`);
  try {
    await mkdir(dirname(path), { recursive: true });
    if ((await stat(path).catch(() => null))?.isDirectory()) throw new Error("it is a folder");
    await (await open(probe, "wx")).close();
    await rm(probe);
  } catch (error) {
    throw new FileError("ERR_IO", `${path}: cannot be written: ${reason(error)}`, { cause: error });
  }
}

/** What the system said, in words where it is one of the usual causes. */
export function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code) {
    case "ENOENT":
      return "no such file or folder";
    case "EACCES":
    case "EPERM":
      return "permission denied";
    case "EROFS":
      return "the file system is read-only";
    case "EISDIR":
      return "it is a folder";
    case "ENOTDIR":
      return "a part of the path is a file";
    case "EEXIST":
      return "a file is in the way";
    case "ENOSPC":
      return "the disk is full";
    case "EFBIG":
      return "the file would be larger than the system allows";
    case "EDQUOT":
      return "the disk quota is used up";
    case "ENAMETOOLONG":
      return "the name is too long";
    default:
      return code ?? message ?? String(error);
  }
}
