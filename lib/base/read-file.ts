/** Reading files whole. */
import { constants } from "node:fs";
import { open } from "node:fs/promises";

/**
 * The bytes of a regular file. Anything else is refused before it is read: a device such as /dev/full or a pipe never
 * ends.
 *
 * @throws the system's error, or an Error that says what the path is
 */
export async function readWholeFile(path: string, signal?: AbortSignal): Promise<Buffer> {
  // A pipe without a writer must not hold the opening up, so O_NONBLOCK where the system has it.
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const info = await file.stat();
    if (!info.isFile() && !info.isDirectory())
      throw new Error("it is a device, a pipe or a socket, not a file");
    return await file.readFile({ signal });
  } finally {
    await file.close();
  }
}
