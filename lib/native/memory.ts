/** Refusing what cannot fit before anything is allocated. */
import { memoryLimit } from "./devices.js";
import { Tr0nError } from "../base/errors.js";

/**
 * @param what the request, as in "sample: 10 conditions × 1000 samples"
 * @param bytes an estimate of what it needs
 * @throws Tr0nError ERR_OUT_OF_MEMORY saying what is needed and what there is
 */
export function checkMemory(what: string, bytes: number): void {
  const limit = memoryLimit();
  if (!(bytes <= limit))
    throw new Tr0nError(
      "ERR_OUT_OF_MEMORY",
      `${what}: needs about ${gigabytes(bytes)} of memory, this machine has ${gigabytes(limit)}; ask for less at a time`,
    );
}

export function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toPrecision(3)} GB`;
}
