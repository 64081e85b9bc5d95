/** SHA-256 of bytes, without holding up the event loop. */
import { createHash } from "node:crypto";

/** Bytes that are hashed before the event loop has its turn. */
const hashedAtOnce = 1 << 20;

/** SHA-256 in hex, of parts one behind the other. */
export async function hashBytes(bytes: Uint8Array | readonly Uint8Array[]): Promise<string> {
  const hash = createHash("sha256");
  for (const part of bytes instanceof Uint8Array ? [bytes] : bytes)
    for (let at = 0; at < part.length; at += hashedAtOnce) {
      hash.update(part.subarray(at, at + hashedAtOnce));
      await new Promise((resolve) => setImmediate(resolve));
    }
  return hash.digest("hex");
}
