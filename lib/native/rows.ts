/** Looks at rows of numbers that tr0n's own modules have, off this thread. */
import { ArgumentError, FileError } from "../base/errors.js";
import { native } from "./binding.js";
import { runJob } from "./job.js";

/** The index of the first number that is not finite; −1 where all are. Nobody outside has the array. */
export function firstNotFinite(data: Float32Array, signal?: AbortSignal): Promise<number> {
  if (data.length === 0) return Promise.resolve(-1);
  return runJob("looking at numbers", signal, () => native().firstNotFinite({ owned: data }));
}

/**
 * Copies a file's numbers to place `at` of an array; nobody outside has either.
 *
 * @throws FileError ERR_FILE_INVALID for a number that is not finite; AbortError
 */
export async function takeFinite(
  data: Float32Array,
  what: string,
  into: Float32Array,
  at: number,
  signal?: AbortSignal,
): Promise<void> {
  if (data.length === 0) return;
  const bad = await runJob("reading", signal, () =>
    native().copyFinite({ owned: data }, { owned: into }, at),
  );
  if (bad >= 0)
    throw new FileError(
      "ERR_FILE_INVALID",
      `${what}: expected finite numbers, got ${data[bad]} at index ${bad}`,
    );
}

/** @throws ArgumentError for a number of the array, which nobody outside has, that is not finite; AbortError */
export async function requireFinite(name: string, data: Float32Array, signal?: AbortSignal): Promise<void> {
  const bad = await firstNotFinite(data, signal);
  if (bad >= 0)
    throw new ArgumentError(`${name}: expected finite numbers, got ${data[bad]} at index ${bad}`);
}
