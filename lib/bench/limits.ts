/** What this machine can do with tr0n's threads: the limits that times are compared with. */
import { runJob } from "../native/job.js";
import { native } from "../native/binding.js";
import { median } from "./statistics.js";

export interface MachineLimits {
  readonly instructions: string;
  readonly threads: number;
  /** Arithmetic in registers, operations a second. */
  readonly arithmetic: number;
  /** Bytes read and written a second by a copy in memory. */
  readonly copy: number;
}

const copied = 2 ** 28;

/** Medians of a few runs each; takes some seconds. */
export async function measureLimits(signal?: AbortSignal, runs = 9): Promise<MachineLimits> {
  const addon = native();
  const arithmetic = await runJob("bench", signal, () => addon.measureArithmetic(runs));
  const copy = await runJob("bench", signal, () => addon.measureCopy(copied, runs));
  return {
    instructions: addon.instructions(),
    threads: addon.threads(),
    arithmetic: median(arithmetic),
    copy: median(copy),
  };
}
