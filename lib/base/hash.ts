/** SHA-256 of bytes, without holding up the event loop. */
import { createHash } from "node:crypto";

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
