/** SHA-256 of bytes and files, without holding up the event loop. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { reason } from "./atomic-write.js";
import { ModelError } from "./errors.js";

/** Bytes that are hashed before the event loop has its turn. */
const hashedAtOnce = 1 << 20;

/** SHA-256 in hex. */
export async function hashBytes(bytes: Uint8Array): Promise<string> {
  const hash = createHash("sha256");
  for (let at = 0; at < bytes.length; at += hashedAtOnce) {
    hash.update(bytes.subarray(at, at + hashedAtOnce));
    await new Promise((resolve) => setImmediate(resolve));
  }
  return hash.digest("hex");
}

/**
 * SHA-256 of files, one after the other, in hex.
 *
 * @throws ModelError ERR_MODEL_NOT_FOUND
 */
export async function hashFiles(files: readonly string[]): Promise<string> {
  const hash = createHash("sha256");
  for (const file of files) {
    try {
      for await (const chunk of createReadStream(file, { highWaterMark: hashedAtOnce }))
        hash.update(chunk as Buffer);
    } catch (error) {
      throw new ModelError("ERR_MODEL_NOT_FOUND", `${file}: cannot be read: ${reason(error)}`, {
        cause: error,
      });
    }
  }
  return hash.digest("hex");
}
