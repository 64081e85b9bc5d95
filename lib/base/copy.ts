/** Copies of large arrays, made without holding up the event loop. */

/** Numbers that are copied before the event loop has its turn: some 2 ms. */
const copiedAtOnce = 1 << 20;

/** A copy that others cannot reach; whoever writes to `data` before this resolves may find some of it in the copy. */
export async function copyInTurns(data: Float32Array): Promise<Float32Array> {
  const copy = new Float32Array(data.length);
  for (let at = 0; at < data.length; at += copiedAtOnce) {
    if (at > 0) await new Promise((resolve) => setImmediate(resolve));
    copy.set(data.subarray(at, at + copiedAtOnce), at);
  }
  return copy;
}
