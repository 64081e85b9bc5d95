/** What a case of `npm run bench` is: one file in bench/cases that exports one of these as its default. */
import type { MachineLimits } from "../lib/bench/limits.js";

export interface Row {
  /** What was measured, "batch 16" for one. */
  readonly name: string;
  /** "ms", "µs" and "MiB" are better when small, "GFLOP/s" and the like when large. */
  readonly unit: "ms" | "µs" | "MiB" | "GFLOP/s" | "GB/s" | "pairs/s";
  readonly ours: number;
  readonly peers?: Readonly<Record<string, number>>;
  /** What this machine could do, and by what reckoning. */
  readonly limit?: { readonly value: number; readonly by: string };
  /** How many times better than the best peer it is to be. */
  readonly target?: number;
}

export interface Surroundings {
  readonly limits: MachineLimits;
  /** The Python that has PyTorch, or null. */
  readonly python: string | null;
  /** Runs bench/peers/SCRIPT with this argument and returns what it answers. */
  peer<T>(script: string, argument: object, policy: WaitPolicy): Promise<T>;
  /** Seconds that one figure is measured for. */
  readonly seconds: number;
}

/**
 * How OpenMP's threads wait. Which is faster depends on what else uses the cores, OpenBLAS's own threads included: a
 * peer is timed with both and counts with the better.
 */
export const policies = ["active", "passive"] as const;
export type WaitPolicy = (typeof policies)[number];

export interface Case {
  readonly name: string;
  readonly summary: string;
  /** @throws where results differ from the peer's: nothing is timed that is not equal */
  run(around: Surroundings): Promise<Row[]>;
}
